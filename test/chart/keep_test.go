package chart

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestWhatHoldsDataIsKept: neither Helm, Flux nor Argo CD removes CRDs, which every app and channel goes with, or the volume with the events, when
// they are in what is to be installed no more. Values can leave that to them.
func TestWhatHoldsDataIsKept(t *testing.T) {
	policy := map[string]string{
		"kustomize.toolkit.fluxcd.io/prune": "disabled",
		"argocd.argoproj.io/sync-options":   "Prune=false,Delete=false",
		"helm.sh/resource-policy":           "keep",
	}
	data := []string{"CustomResourceDefinition", "PersistentVolumeClaim", "Namespace"}
	options := `eventLog.embedded.persistence.annotations.argocd\.argoproj\.io/sync-options=`
	for name, tc := range map[string]struct {
		all    []*unstructured.Unstructured
		count  int
		policy map[string]string // what the annotations are instead
	}{
		"chart": {all: render(t), count: 3},
		"chart, not to be": {all: render(t, "--set=crds.keep=false,eventLog.embedded.persistence.keep=false"), count: 3, policy: map[string]string{
			"kustomize.toolkit.fluxcd.io/prune": "", "argocd.argoproj.io/sync-options": "", "helm.sh/resource-policy": "",
		}},
		"chart, with options": {all: render(t, "--set=crds.install=false,"+options+`Delete=false\,Replace=true`), count: 1, policy: map[string]string{
			"argocd.argoproj.io/sync-options": "Delete=false,Replace=true,Prune=false",
		}},
		"kustomize": {all: objects(t, kustomize(t, filepath.Join(root, "config", "default"))), count: 4, policy: map[string]string{
			"helm.sh/resource-policy": "",
		}},
		"CRDs of kustomize": {all: objects(t, kustomize(t, filepath.Join(root, "config", "crd"))), count: 2, policy: map[string]string{
			"helm.sh/resource-policy": "",
		}},
	} {
		found := 0
		for _, object := range tc.all {
			if !slices.Contains(data, object.GetKind()) {
				continue
			}
			found++
			for key, want := range policy {
				if instead, there := tc.policy[key]; there {
					want = instead
				}
				if got := object.GetAnnotations()[key]; got != want {
					t.Errorf("%s: %s %s has %s: %q instead of %q", name, object.GetKind(), object.GetName(), key, got, want)
				}
			}
		}
		if found != tc.count {
			t.Errorf("%s has %d objects that hold data, not %d", name, found, tc.count)
		}
	}
}

// TestTheSwitchToNATSDeletesNoEvents: an upgrade that would delete the claim of the embedded event log is refused by helm, which sees it in the
// cluster; what is said of how to keep it is true.
func TestTheSwitchToNATSDeletesNoEvents(t *testing.T) {
	helm(t, "version")
	cfg, kubeconfig := cluster(t)
	api, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const (
		keep = "--set=eventLog.embedded.persistence.keep=true"
		drop = "--set=eventLog.embedded.persistence.keep=false"
		nats = "--set=eventLog.nats.url=nats://nats:4222"
	)
	run := func(verb, release string, args ...string) (string, error) {
		out, complaint, err := helm(t, append([]string{
			verb, release, chart, "--kubeconfig", kubeconfig, "--namespace", release, "--set=fullnameOverride=" + release,
			"--set=crds.install=false,rbac.create=false",
		}, args...)...)
		return out + complaint, err
	}
	for release, tc := range map[string]struct {
		install string
		before  func(claim *corev1.PersistentVolumeClaim) // what is done to the claim, or with helm, before the upgrade
		upgrade []string
		refused bool
	}{
		"kept":    {install: keep, upgrade: []string{keep, nats}},
		"dropped": {install: drop, upgrade: []string{drop, nats}, refused: true},
		"annotated": {install: drop, upgrade: []string{drop, nats}, before: func(claim *corev1.PersistentVolumeClaim) {
			metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "helm.sh/resource-policy", "keep")
			if err := api.Update(t.Context(), claim); err != nil {
				t.Fatal(err)
			}
		}},
		"upgraded": {install: drop, upgrade: []string{drop, nats}, before: func(claim *corev1.PersistentVolumeClaim) {
			if out, err := run("upgrade", claim.Namespace, keep); err != nil {
				t.Fatalf("keep alone: %v\n%s", err, out)
			}
		}},
		"embedded": {install: drop, upgrade: []string{drop}},
	} {
		t.Run(release, func(t *testing.T) {
			if out, err := run("install", release, "--create-namespace", tc.install); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			claim := &corev1.PersistentVolumeClaim{}
			key := client.ObjectKey{Namespace: release, Name: release + "-webhook-data"}
			if err := api.Get(t.Context(), key, claim); err != nil {
				t.Fatal(err)
			}
			if tc.before != nil {
				tc.before(claim)
			}
			out, err := run("upgrade", release, tc.upgrade...)
			if refused := err != nil && strings.Contains(out, "would delete the volume "+key.Name); refused != tc.refused || err != nil && !refused {
				t.Errorf("the upgrade: %v\n%s", err, out)
			}
			if err := api.Get(t.Context(), key, claim); err != nil || claim.DeletionTimestamp != nil {
				t.Errorf("the claim is deleted: %v, %v", err, claim.DeletionTimestamp)
			}
		})
	}
	// A release that never had a claim has nothing to lose.
	if out, err := run("install", "external", "--create-namespace", drop, nats); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run("upgrade", "external", drop, nats); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
