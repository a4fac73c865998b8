package chart

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
)

// TestThePluginFindsThePods: the labels by which kubectl tiktok looks for Deployments and pods are there however the operator is installed and named.
func TestThePluginFindsThePods(t *testing.T) {
	matches := func(selector string, set map[string]string) bool {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Matches(labels.Set(set))
	}
	for name, all := range map[string][]*unstructured.Unstructured{
		"chart":                     render(t),
		"chart with a nameOverride": render(t, "--set=nameOverride=messaging"),
		"kustomize":                 objects(t, kustomize(t, filepath.Join(root, "config", "default"))),
	} {
		found := 0
		for _, object := range all {
			if object.GetKind() != "Deployment" {
				continue
			}
			found++
			pods, _, err := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
			if err != nil || !matches(gateway.PartOf, pods) || !matches(gateway.PartOf, object.GetLabels()) {
				t.Errorf("%s: %s or its pods are not found: %v, %v", name, object.GetName(), pods, err)
			}
			if webhook := strings.HasSuffix(object.GetName(), "-webhook"); matches(gateway.Pods, pods) != webhook {
				t.Errorf("%s: the pods of %s have %v", name, object.GetName(), pods)
			}
		}
		if found != 2 {
			t.Errorf("%s: there are %d Deployments", name, found)
		}
	}
}
