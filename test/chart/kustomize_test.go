package chart

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

func kustomize(t *testing.T, folder string) string {
	t.Helper()
	path := os.Getenv("KUSTOMIZE")
	if path == "" {
		t.Skip("KUSTOMIZE does not name a kustomize: make test-chart sets it")
	}
	out, err := exec.CommandContext(t.Context(), path, "build", folder).Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	return string(out)
}

// overlays are the folders of kustomizations that use config's components. Each has the values with which the chart does the same.
func overlays(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "overlays", "*", "kustomization.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("looking for overlays: %v, %v", files, err)
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files
}

// installation is what one of the two ways to install makes, without what they name differently by design: labels and selectors, and roles, of
// which only the permissions count.
type installation struct {
	objects     map[string]string // by kind and name, their spec
	flags       map[string][]string
	permissions map[string][]string // of each ServiceAccount
}

// unlike are kinds of which the two ways make other ones, or none: roles count by what they permit.
var unlike = []string{
	"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "Pod", "Secret",
}

func installed(t *testing.T, all []*unstructured.Unstructured) installation {
	t.Helper()
	out := installation{objects: map[string]string{}, flags: map[string][]string{}, permissions: permissions(t, all)}
	for _, object := range all {
		if slices.Contains(unlike, object.GetKind()) {
			continue
		}
		name := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
		spec, _, _ := unstructured.NestedMap(object.Object, "spec")
		if object.GetKind() == "Deployment" {
			out.flags[object.GetName()] = takeFlags(t, spec)
		}
		dropSelectors(spec)
		out.objects[name] = text(t, spec)
	}
	return out
}

// takeFlags takes what the two ways give in other forms out of a Deployment: flags, some of which are variables, and the image.
func takeFlags(t *testing.T, deployment map[string]any) []string {
	t.Helper()
	if replicas, ok := deployment["replicas"]; ok {
		deployment["replicas"] = fmt.Sprint(replicas)
	}
	template := deployment["template"].(map[string]any)
	delete(template, "metadata")
	container := template["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	var flags []string
	for _, arg := range container["args"].([]any) {
		flags = append(flags, arg.(string))
	}
	var env []any
	for _, v := range container["env"].([]any) {
		if v.(map[string]any)["name"] == "TIKTOK_OPERATOR_WATCH_NAMESPACES" {
			flags = append(flags, "--watch-namespaces")
			continue
		}
		env = append(env, v)
	}
	slices.SortFunc(env, func(a, b any) int {
		return strings.Compare(fmt.Sprint(a.(map[string]any)["name"]), fmt.Sprint(b.(map[string]any)["name"]))
	})
	container["env"] = env
	for _, list := range []map[string]any{container, template["spec"].(map[string]any)} {
		for _, key := range []string{"volumeMounts", "volumes"} {
			if items, ok := list[key].([]any); ok {
				slices.SortFunc(items, func(a, b any) int {
					return strings.Compare(fmt.Sprint(a.(map[string]any)["name"]), fmt.Sprint(b.(map[string]any)["name"]))
				})
			}
		}
	}
	for _, field := range []string{"imagePullPolicy", "args"} { // the default policy is IfNotPresent for a tag that is a version
		delete(container, field)
	}
	if deployment["replicas"] == "1" { // one node is enough for one replica
		delete(template["spec"].(map[string]any), "topologySpreadConstraints")
	}
	return flags
}

func dropSelectors(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range []string{"selector", "podSelector", "labelSelector"} {
			delete(v, key)
		}
		for _, child := range v {
			dropSelectors(child)
		}
	case []any:
		for _, child := range v {
			dropSelectors(child)
		}
	}
}

// permissions are all that each ServiceAccount may do, as namespace, group, resource, verb, and the names it is bound to.
func permissions(t *testing.T, all []*unstructured.Unstructured) map[string][]string {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range all {
		if object.GetKind() == "Role" || object.GetKind() == "ClusterRole" {
			var role rbacv1.ClusterRole
			as(t, object, &role)
			rules[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] = role.Rules
		}
	}
	out := map[string][]string{}
	for _, object := range all {
		where := object.GetNamespace()
		if object.GetKind() == "ClusterRoleBinding" {
			where = "*"
		} else if object.GetKind() != "RoleBinding" {
			continue
		}
		var binding rbacv1.RoleBinding
		as(t, object, &binding)
		role := binding.RoleRef.Kind + " " + binding.Namespace + "/" + binding.RoleRef.Name
		if len(rules[role]) == 0 {
			t.Errorf("%s %s binds %s, which is not there", object.GetKind(), object.GetName(), role)
		}
		for _, subject := range binding.Subjects {
			account := subject.Namespace + "/" + subject.Name
			for _, rule := range rules[role] {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						for _, verb := range rule.Verbs {
							what := strings.Join(append([]string{where, group, resource, verb}, rule.ResourceNames...), " ")
							out[account] = append(out[account], what)
						}
					}
				}
			}
		}
	}
	for account, list := range out {
		slices.Sort(list)
		out[account] = slices.Compact(list)
	}
	return out
}

func as(t *testing.T, object *unstructured.Unstructured, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

// defaults are flags that the chart always gives, at their default unless a value says otherwise.
var defaults = []string{
	"--zap-log-level", "--zap-encoder", "--fsync", "--event-log-max-age", "--event-log-max-bytes", "--signature-tolerance", "--message-rules",
	"--nats-replicas", "--authorization-links", "--concurrent-channels",
}

// TestKustomizeAndChartAgree compares the two ways to install, plain and with the same things switched on.
func TestKustomizeAndChartAgree(t *testing.T) {
	folders := map[string][]string{filepath.Join(root, "config", "default"): nil}
	for _, overlay := range overlays(t) {
		folders[overlay] = []string{"--values", filepath.Join(overlay, "values.yaml")}
	}
	for folder, args := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			chart := installed(t, render(t, append([]string{"--set=tests.enabled=false"}, args...)...))
			manifests := installed(t, objects(t, kustomize(t, folder)))
			names := slices.Sorted(maps.Keys(chart.objects))
			if others := slices.Sorted(maps.Keys(manifests.objects)); !slices.Equal(names, others) {
				t.Errorf("the chart makes\n%s\nkustomize makes\n%s", strings.Join(names, "\n"), strings.Join(others, "\n"))
			}
			for _, name := range names {
				if a, b := chart.objects[name], manifests.objects[name]; a != b {
					t.Errorf("%s: the chart has\n%s\nkustomize has\n%s", name, a, b)
				}
			}
			for name, flags := range chart.flags {
				for _, flag := range flags {
					key, _, _ := strings.Cut(flag, "=")
					same := slices.Contains(manifests.flags[name], flag) || key == "--watch-namespaces" && slices.Contains(manifests.flags[name], key)
					if !same && !slices.Contains(defaults, key) {
						t.Errorf("%s: only the chart gives %s", name, flag)
					}
				}
				for _, flag := range manifests.flags[name] {
					if !slices.ContainsFunc(flags, func(f string) bool { return f == flag || strings.HasPrefix(f, flag+"=") }) {
						t.Errorf("%s: only kustomize gives %s", name, flag)
					}
				}
			}
			for account, may := range chart.permissions {
				if a, b := strings.Join(may, "\n"), strings.Join(manifests.permissions[account], "\n"); a != b {
					t.Errorf("%s: with the chart it may\n%s\nwith kustomize\n%s", account, a, b)
				}
			}
			if len(chart.permissions) != len(manifests.permissions) || len(chart.permissions) != 2 {
				t.Errorf("permissions of %d and %d accounts", len(chart.permissions), len(manifests.permissions))
			}
		})
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	out, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
