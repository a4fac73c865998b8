package chart

import (
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
