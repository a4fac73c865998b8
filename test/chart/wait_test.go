package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// TestHelmWaitsForChannels: where a chart of a team's own has a channel, Helm that is told to wait does so until somebody has authorized it.
// docs/how-to/gitops.md says so.
func TestHelmWaitsForChannels(t *testing.T) {
	helm(t, "version")
	cfg, kubeconfig := cluster(t, filepath.Join(root, "config", "crd", "bases"))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shop/Chart.yaml":  "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
		"shop/values.yaml": "",
		"shop/templates/channel.yaml": "apiVersion: channels.tiktok-operator.io/v1alpha1\nkind: TiktokChannel\n" +
			"metadata: {name: {{ .Release.Name }}}\nspec: {appRef: {name: my-app}}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(verb string, args ...string) (string, error) {
		_, complaint, err := helm(t, append([]string{verb, "shop", filepath.Join(dir, "shop"), "--kubeconfig", kubeconfig}, args...)...)
		return complaint, err
	}
	if complaint, err := run("install"); err != nil {
		t.Fatalf("helm waits without being told to: %v\n%s", err, complaint)
	}
	awaitsAuthorization(t, cfg, "shop")
	complaint, err := run("upgrade", "--wait", "--timeout=3s")
	if err == nil || !strings.Contains(complaint, "resource TiktokChannel/default/shop not ready. status: InProgress, message: because") {
		t.Errorf("helm is to wait for the channel in vain: %v\n%s", err, complaint)
	}
}

// cluster starts an API server with the given CRDs, and writes a kubeconfig of somebody who may do everything there.
func cluster(t *testing.T, crds ...string) (cfg *rest.Config, kubeconfig string) {
	t.Helper()
	env := &envtest.Environment{CRDDirectoryPaths: crds, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	user, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return cfg, kubeconfig
}

// awaitsAuthorization gives a channel the status that the operator writes while nobody has authorized it.
func awaitsAuthorization(t *testing.T, cfg *rest.Config, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "test", "gitops", "testdata", "channel-awaiting-authorization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	channel := objects(t, string(text))[0]
	channel.SetName(name)
	channel.SetNamespace("default")
	unstructured.RemoveNestedField(channel.Object, "metadata", "generation")
	api, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Status().Patch(t.Context(), channel, client.Merge); err != nil {
		t.Fatal(err)
	}
}
