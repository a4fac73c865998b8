package gateway

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestGrantsAreThoseOfTheShippedRoles compares what a refusal names with config/rbac.
func TestGrantsAreThoseOfTheShippedRoles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "rbac", "channel_*_role.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d roles: %v", len(files), err)
	}
	shipped := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(text, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				_, subresource, virtual := strings.Cut(resource, "/")
				for _, verb := range rule.Verbs {
					if virtual && subresource != "status" {
						shipped[role.Name+" "+verb+" "+subresource] = true
					}
				}
			}
		}
	}
	for _, g := range grants {
		for _, verb := range g.verbs {
			if !shipped[g.role+" "+verb+" "+g.subresource] {
				t.Errorf("%s is not shipped with %s of %s", g.role, verb, g.subresource)
			}
		}
	}
	for grant := range shipped {
		role, rest, _ := strings.Cut(grant, " ")
		verb, subresource, _ := strings.Cut(rest, " ")
		detail := "somebody may not " + verb + " tiktokchannels/" + subresource + " in namespace shop. A Role there grants it."
		named := grantedBy(detail)
		if !slices.ContainsFunc(files, func(file string) bool {
			return strings.Contains(named, "…-"+strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), "_role.yaml"), "_", "-")+" ")
		}) {
			t.Errorf("%s: a refusal of %s %s names %q", role, verb, subresource, named)
		}
	}
	if got := grantedBy("may not fly tiktokchannels/moon in namespace shop"); got != "" {
		t.Errorf("a permission that no role has is granted by %q", got)
	}
}
