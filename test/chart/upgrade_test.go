package chart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// previous is an earlier chart, packed as it was when it could first be installed (commit 5a96688). Replace it with each release's:
//
//	git archive VERSION charts/tiktok-operator | tar -x -C FOLDER && helm package FOLDER/charts/tiktok-operator
var previous = filepath.Join("testdata", "previous.tgz")

// TestAnUpgradeChangesNothingThatCannotChange compares with an earlier chart what an API server does not let an upgrade change, and what holds the
// data: a Service, a Secret or a claim of another name is another one.
func TestAnUpgradeChangesNothingThatCannotChange(t *testing.T) {
	if os.Getenv("HELM") == "" {
		t.Skip("HELM does not name a helm: make test-chart sets it")
	}
	compared := 0
	for _, file := range matrix(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out, errs, err := helm(t, "template", "tiktok-operator", previous, "--namespace", namespace, "--values", file)
			if err != nil {
				t.Skipf("the earlier chart does not know these values: %s", errs)
			}
			before, now := fixed(t, objects(t, out)), fixed(t, render(t, "--values", file))
			for _, what := range slices.Sorted(maps.Keys(before)) {
				if after, there := now[what]; !there {
					t.Errorf("%s is gone", what)
				} else if after != before[what] {
					t.Errorf("%s changed from\n%s\nto\n%s", what, before[what], after)
				}
			}
			if len(before) < 6 {
				t.Errorf("there is little to compare: %v", before)
			}
			compared++
		})
	}
	if compared < 5 && !t.Failed() {
		t.Errorf("the earlier chart knows %d of the files of values", compared)
	}
}

// fixed is what must stay of each object: nothing of it but that it is there, unless it is written below its name.
func fixed(t *testing.T, all []*unstructured.Unstructured) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, object := range all {
		var fields [][]string
		switch object.GetKind() {
		case "Deployment":
			fields = [][]string{{"spec", "selector"}}
		case "PersistentVolumeClaim":
			fields = [][]string{{"spec"}, {"metadata", "annotations", "helm.sh/resource-policy"}}
		case "Service":
			fields = [][]string{{"spec", "selector"}, {"spec", "ports"}}
		case "RoleBinding", "ClusterRoleBinding":
			fields = [][]string{{"roleRef"}}
		case "ServiceAccount", "Secret", "CustomResourceDefinition":
		default:
			continue
		}
		if object.GetKind() == "RoleBinding" && strings.HasSuffix(object.GetName(), "-webhook-events") {
			continue // the webhook needs no Events in default
		}
		var kept strings.Builder
		for _, path := range fields {
			value, _, err := unstructured.NestedFieldCopy(object.Object, path...)
			if err != nil {
				t.Fatal(err)
			}
			kept.WriteString(text(t, value))
		}
		out[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] = kept.String()
	}
	return out
}
