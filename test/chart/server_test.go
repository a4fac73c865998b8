package chart

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// foreignCRDs are the definitions of what the chart can make for other operators, from their own modules.
var foreignCRDs = []struct{ module, version, path string }{
	{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{"github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"},
	{"sigs.k8s.io/gateway-api", "v1.5.0", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
}

// TestARestrictedNamespaceTakesEverything applies what is rendered to a real API server, as helm would, without storing it. A Deployment is
// only warned of what its pods may not do, so its pods are tried too.
func TestARestrictedNamespaceTakesEverything(t *testing.T) {
	helm(t, "version")
	env := &envtest.Environment{ErrorIfCRDPathMissing: true}
	for _, crd := range foreignCRDs {
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, moduleFile(t, crd.module, crd.version, crd.path))
	}
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
	for _, name := range []string{namespace, "team-a", "team-b"} {
		err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: restricted}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"tiktok-operator-manager", "tiktok-operator-webhook", "tiktok-manager", "its-own"} {
		err := api.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, all := range renderings(t) {
		for _, object := range all {
			if err := dryRun(t.Context(), api, object); err != nil {
				t.Errorf("%s: %s %s: %v", name, object.GetKind(), object.GetName(), err)
			}
			if object.GetKind() != "Deployment" {
				continue
			}
			template, _, _ := unstructured.NestedMap(object.Object, "spec", "template")
			pod := &unstructured.Unstructured{Object: template}
			pod.SetAPIVersion("v1")
			pod.SetKind("Pod")
			pod.SetName(object.GetName())
			pod.SetNamespace(object.GetNamespace())
			unstructured.RemoveNestedField(pod.Object, "spec", "priorityClassName") // the cluster has none of that name
			if err := dryRun(t.Context(), api, pod); err != nil {
				t.Errorf("%s: pod of %s: %v", name, object.GetName(), err)
			}
		}
	}
	// The namespace can refuse.
	pod := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"serviceAccountName": "its-own", "containers": []any{map[string]any{"name": "a", "image": "b"}},
	}}}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName("careless")
	pod.SetNamespace(namespace)
	if err := dryRun(t.Context(), api, pod); err == nil {
		t.Error("a pod that asks for everything is taken")
	}
}

func dryRun(ctx context.Context, api client.Client, object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.DryRunAll, client.FieldOwner("helm"), client.ForceOwnership)
}

// renderings are what helm renders for each file of values, and what kustomize builds for each overlay.
func renderings(t *testing.T, args ...string) map[string][]*unstructured.Unstructured {
	t.Helper()
	all := map[string][]*unstructured.Unstructured{}
	for _, file := range matrix(t) {
		all[file] = render(t, append([]string{"--values", file}, args...)...)
	}
	for _, overlay := range overlays(t) {
		all[overlay] = objects(t, kustomize(t, overlay))
	}
	return all
}
