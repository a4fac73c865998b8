package gitops

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// example is the Kustomization of the Flux example. A field that Flux does not have is an error.
func example(t *testing.T) *kustomizev1.Kustomization {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(config, "flux", "channels.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	k := &kustomizev1.Kustomization{}
	if err := yaml.UnmarshalStrict(text, k); err != nil {
		t.Fatal(err)
	}
	return k
}

// fluxReader judges objects by the expressions of the example, with the code that kustomize-controller judges them with.
func fluxReader(t *testing.T) engine.StatusReader {
	t.Helper()
	reader, err := cel.NewStatusReader(example(t).Spec.HealthCheckExprs)
	if err != nil {
		t.Fatal(err)
	}
	return reader(nil) // a mapper is for what is looked up, which objects that are given are not
}

// flux is what Flux makes of an object. An expression that cannot be evaluated, such as one about a field that is missing, is an error, and
// Flux waits for such an object until its timeout.
func flux(t *testing.T, o *unstructured.Unstructured) status.Status {
	t.Helper()
	reader := fluxReader(t)
	if kind := o.GroupVersionKind().GroupKind(); !reader.Supports(kind) {
		t.Fatalf("the example has no expressions for %s", kind)
	}
	result, err := reader.ReadStatusForObject(t.Context(), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Error != nil {
		t.Errorf("Flux cannot judge it: %v", result.Error)
	}
	return result.Status
}

// TestFluxJudgesWhatIsIncomplete: whatever is missing of a status, no expression ends with an error. That there is a status at all, the schema
// sees to.
func TestFluxJudgesWhatIsIncomplete(t *testing.T) {
	for _, kind := range []string{"TiktokChannel", "TiktokApp"} {
		for name, st := range map[string]map[string]any{
			"an empty status":      {},
			"no conditions":        {"observedGeneration": int64(2)},
			"an empty list":        {"observedGeneration": int64(2), "conditions": []any{}},
			"nobody has looked":    {"observedGeneration": int64(-1)},
			"an unknown condition": {"observedGeneration": int64(2), "conditions": []any{map[string]any{"type": "Other", "status": "True"}}},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				o := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "channels.tiktok-operator.io/v1alpha1", "kind": kind,
					"metadata": map[string]any{"name": "acme", "generation": int64(2)}, "status": st,
				}}
				if got := flux(t, o); got != status.InProgressStatus {
					t.Errorf("it is %s", got)
				}
			})
		}
	}
}
