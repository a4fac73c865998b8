package chart

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// TestUndeployWaitsForTheManager: channels go first, then apps, and the manager and the CRDs only after them. Where the manager lets none go, it and
// the CRDs stay, and it is said why.
func TestUndeployWaitsForTheManager(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS does not name a folder with kubectl: make test-chart sets it")
	}
	cfg, kubeconfig := cluster(t)
	scheme := runtime.NewScheme()
	utilruntime.Must(errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	api, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	run := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECTL="+kubectl)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	if out, err := run(kubectl, "apply", "--server-side", "-k", "config/default"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: "my-app", Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "a", PublicURL: "https://tiktok.example.com", SecretRef: v1alpha1.AppSecretReference{Namespace: namespace, Name: "my-app"},
		},
	}
	channel := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "default", Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "my-app"}},
	}
	for _, object := range []client.Object{app, channel} {
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			err := api.Create(ctx, object)
			return err == nil, client.IgnoreNotFound(err) // the CRD is not served yet
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	out, err := run("make", "--no-print-directory", "undeploy", "TIMEOUT=1s")
	if err == nil || !strings.Contains(out, "Not all tiktokchannels are gone after 1s, so the manager and the CRDs stay") {
		t.Errorf("without a manager: %v\n%s", err, out)
	}
	c := &controllers{api: api}
	if !c.managerIsThere(t.Context()) || c.leaving(t.Context(), app) {
		t.Fatal("the manager or the app is gone before the channels")
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) { c.step(ctx); return false, nil })
	}()
	out, err = run("make", "--no-print-directory", "undeploy")
	stop()
	<-ended
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Join(c.did, ", ") != "channel, app" {
		t.Errorf("the manager let go: %v", c.did)
	}
	var crds apiextensionsv1.CustomResourceDefinitionList
	if err := api.List(t.Context(), &crds); err != nil || len(crds.Items) > 0 || c.managerIsThere(t.Context()) {
		t.Errorf("what is to go is still there: %v, %v", crds.Items, err)
	}
	if out, err := run("make", "--no-print-directory", "undeploy"); err != nil {
		t.Errorf("once more: %v\n%s", err, out)
	}
}

// controllers do what the manager does with a channel or an app that is deleted, as long as there is a manager; and what Kubernetes does with a
// namespace and a claim.
type controllers struct {
	api client.Client
	did []string
}

func (c *controllers) step(ctx context.Context) {
	var channels v1alpha1.TiktokChannelList
	var apps v1alpha1.TiktokAppList
	if c.managerIsThere(ctx) && c.api.List(ctx, &channels) == nil && c.api.List(ctx, &apps) == nil {
		for i := range channels.Items {
			c.letGo(ctx, "channel", &channels.Items[i])
		}
		for i := range apps.Items {
			c.letGo(ctx, "app", &apps.Items[i])
		}
	}
	var claims corev1.PersistentVolumeClaimList
	if c.api.List(ctx, &claims) == nil {
		for i := range claims.Items {
			c.letGo(ctx, "", &claims.Items[i])
		}
	}
	var own corev1.Namespace
	if err := c.api.Get(ctx, client.ObjectKey{Name: namespace}, &own); err == nil && own.DeletionTimestamp != nil {
		own.Spec.Finalizers = nil
		_ = c.api.SubResource("finalize").Update(ctx, &own) // the next step tries again
	}
}

// letGo takes the finalizers of an object that is deleted.
func (c *controllers) letGo(ctx context.Context, what string, object client.Object) {
	if object.GetDeletionTimestamp() == nil {
		return
	}
	object.SetFinalizers(nil)
	if c.api.Update(ctx, object) == nil && what != "" {
		c.did = append(c.did, what)
	}
}

func (c *controllers) managerIsThere(ctx context.Context) bool {
	return c.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "tiktok-operator-manager"}, &appsv1.Deployment{}) == nil
}

func (c *controllers) leaving(ctx context.Context, object client.Object) bool {
	err := c.api.Get(ctx, client.ObjectKeyFromObject(object), object)
	return apierrors.IsNotFound(err) || object.GetDeletionTimestamp() != nil
}
