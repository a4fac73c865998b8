package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// furnish makes what an installation of the operator brings besides its processes, for those who take their own tour: its namespace, and the
// ClusterRoles that people bind.
func (s *stage) furnish(ctx context.Context) error {
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}}
	files, err := filepath.Glob(filepath.Join("config", "rbac", "channel_*_role.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("finding the ClusterRoles in config/rbac: %w", errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading a ClusterRole: %w", err)
		}
		role := &rbacv1.ClusterRole{}
		if err := yaml.UnmarshalStrict(text, role); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		role.Name = "tiktok-operator-" + role.Name // as config/default names it
		objects = append(objects, role)
	}
	for _, object := range objects {
		err := s.k8s.Create(ctx, object)
		if client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
		if err == nil {
			s.closers = append(s.closers, func() error {
				return client.IgnoreNotFound(s.k8s.Delete(context.WithoutCancel(ctx), object))
			})
		}
	}
	return nil
}

// tell writes the addresses of everything to a file for shells.
func (s *stage) tell(file string) error {
	text := fmt.Sprintf("export KUBECONFIG='%s'\nexport SIMULATOR=%s\nexport PUBLIC=%s\nexport PRIVATE=%s\nexport SINK=%s\n",
		s.kubeconfig, s.simulator, s.public, s.private, s.sink.url())
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		text += fmt.Sprintf("export PATH=\"$PATH:%s\"\n", assets) // kubectl is there, for those who have none
	}
	// Whoever waits for the file finds it whole.
	partial := file + ".partial"
	if err := os.WriteFile(partial, []byte(text), 0o600); err != nil { //nolint:gosec // whoever starts the demo names the file
		return fmt.Errorf("writing the addresses: %w", err)
	}
	if err := os.Rename(partial, file); err != nil {
		return fmt.Errorf("writing the addresses: %w", err)
	}
	s.closers = append(s.closers, func() error { return os.Remove(file) })
	return nil
}

func (s *stage) welcome(file string) {
	fmt.Printf(`
Everything runs, and there is no TiktokApp and no TiktokChannel yet. It stays up until Ctrl-C. In another terminal:

  . %[1]s        sets KUBECONFIG, and the addresses SIMULATOR, PUBLIC, PRIVATE and SINK

The logs are in %[2]s. What the example sink receives appears here.

`, file, filepath.Join(s.dir, "logs"))
}
