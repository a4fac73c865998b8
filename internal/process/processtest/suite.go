// Package processtest tests the manager and the webhook binaries from outside, as the built programs that they are: what they print, how they
// end, and what their addresses answer. It is for their tests alone.
package processtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// Suite is one built binary and a real API server with the CRDs.
type Suite struct {
	// Client of the API server, which may do everything.
	Client client.Client

	binary     string
	config     *rest.Config
	kubeconfig string
}

// Main builds the binary, starts the API server, and runs the tests of a package: the body of its TestMain. It fills in s first.
func (s *Suite) Main(m *testing.M, name string) int {
	code, err := s.run(m, name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s suite: %v\n", name, err)
		return 1
	}
	return code
}

func (s *Suite) run(m *testing.M, name string) (code int, err error) {
	dir, err := os.MkdirTemp("", "tiktok-operator-"+name+"-")
	if err != nil {
		return 1, fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := program.Build(context.Background(), dir, []string{name}); err != nil {
		return 1, err
	}
	s.binary = filepath.Join(dir, name)
	ctrl.SetLogger(logr.Discard()) // else controller-runtime complains
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	if s.config, err = env.Start(); err != nil {
		return 1, fmt.Errorf("starting the control plane (make test sets KUBEBUILDER_ASSETS): %w", err)
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	if s.Client, err = client.New(s.config, client.Options{Scheme: process.Scheme()}); err != nil {
		return 1, fmt.Errorf("making a client: %w", err)
	}
	s.kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(s.kubeconfig, env.KubeConfig, 0o600); err != nil {
		return 1, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return m.Run(), nil
}

// Kubeconfig is the path of one for the API server.
func (s *Suite) Kubeconfig() string { return s.kubeconfig }
