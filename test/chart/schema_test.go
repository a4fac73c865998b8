package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// moduleFile returns where the Go module cache has a file of a module, after downloading it.
func moduleFile(t *testing.T, module, version, path string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var download struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &download); decodeErr != nil || download.Error != "" {
		t.Fatalf("downloading %s@%s: %v %s", module, version, err, download.Error)
	}
	return filepath.Join(download.Dir, filepath.FromSlash(path))
}

// kinds has a strict schema for each kind of a version of Kubernetes: fields that it does not know are mistakes.
type kinds map[string]*jsonschema.Schema

func readKinds(t *testing.T, version string) kinds {
	t.Helper()
	file, err := os.Open(moduleFile(t, "k8s.io/kubernetes", version, "api/openapi-spec/swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	definitions := document.(map[string]any)["definitions"].(map[string]any)
	names := map[string]string{}
	for name, value := range definitions {
		definition := value.(map[string]any)
		if _, ok := definition["properties"]; ok && definition["additionalProperties"] == nil {
			definition["additionalProperties"] = false
		}
		groupKinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(groupKinds) == 1 {
			gvk := groupKinds[0].(map[string]any)
			names[strings.TrimPrefix(fmt.Sprintf("%v/%v %v", gvk["group"], gvk["version"], gvk["kind"]), "/")] = name
		}
		delete(definition, "format") // int-or-string is a format of theirs
		if name == "io.k8s.apimachinery.pkg.util.intstr.IntOrString" || name == "io.k8s.apimachinery.pkg.api.resource.Quantity" {
			definition["type"] = []any{"string", "integer", "number"}
		}
	}
	// A custom resource's own schema is of one more dialect.
	definitions["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"] = map[string]any{"type": "object"}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	if err := compiler.AddResource("kubernetes:"+version, map[string]any{"definitions": definitions}); err != nil {
		t.Fatal(err)
	}
	out := kinds{}
	for gvk, name := range names {
		if strings.HasPrefix(name, "io.k8s.apimachinery") {
			continue
		}
		schema, err := compiler.Compile("kubernetes:" + version + "#/definitions/" + name)
		if err != nil {
			t.Fatalf("compiling the schema of %s: %v", gvk, err)
		}
		out[gvk] = schema
	}
	return out
}

// validate says what is wrong with an object; known is false for kinds that are not Kubernetes' own.
func (k kinds) validate(object *unstructured.Unstructured) (known bool, err error) {
	schema := k[object.GetAPIVersion()+" "+object.GetKind()]
	if schema == nil {
		return false, nil
	}
	text, err := json.Marshal(object.Object)
	if err != nil {
		return true, err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return true, err
	}
	return true, schema.Validate(value)
}

// TestEveryVersionKnowsWhatIsRendered validates every object of every file of values and overlay against the schemas of three versions of Kubernetes.
func TestEveryVersionKnowsWhatIsRendered(t *testing.T) {
	foreign := map[string]bool{
		"ServiceMonitor": true, "PrometheusRule": true, "HTTPRoute": true, "Certificate": true, // validated by a real API server
	}
	for _, version := range kubeVersions {
		all := readKinds(t, version)
		for name, objects := range renderings(t, "--kube-version", version) {
			for _, object := range objects {
				known, err := all.validate(object)
				if err != nil {
					t.Errorf("%s, %s: %s %s: %v", version, name, object.GetKind(), object.GetName(), err)
				}
				if !known && !foreign[object.GetKind()] {
					t.Errorf("%s does not know %s %s", version, object.GetAPIVersion(), object.GetKind())
				}
			}
			if len(objects) < 6 {
				t.Errorf("%s renders %d objects only", name, len(objects))
			}
		}
		// The schemas can refuse.
		wrong := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "spec": map[string]any{"prots": []any{}}}}
		if known, err := all.validate(wrong); !known || err == nil {
			t.Errorf("%s takes a Service with an unknown field", version)
		}
	}
}
