package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// everySwitch turns on what goes together.
const everySwitch = "simulator.enabled=true,metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true," +
	"ingress.enabled=true,ingress.hosts={a.example},gateway.enabled=true,gateway.parentRefs[0].name=a,webhook.tracing.endpoint=http://a," +
	"webhook.tls.certManager.enabled=true,webhook.tls.certManager.issuerRef.name=a"

// TestNullIsNoAccident: a value that is null is its zero, where that can work, or is refused by name. It never ends in the middle of a template, and
// never leaves a flag without its value.
func TestNullIsNoAccident(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	var try func(path string, values map[string]any)
	try = func(path string, values map[string]any) {
		for name, value := range values {
			at := path + strings.ReplaceAll(name, ".", `\.`)
			out, complaint, err := helm(t, "template", "x", chart, "--set", everySwitch+","+at+"=null")
			refused[at] = err != nil
			for _, accident := range []string{"nil pointer", "executing", "YAML", "wrong type"} {
				if err != nil && strings.Contains(strings.ReplaceAll(complaint, "render out invalid YAML", ""), accident) {
					t.Errorf("%s=null: %s", at, complaint)
				}
			}
			if err != nil && !strings.Contains(complaint, name) {
				t.Errorf("%s=null is refused without its name: %s", at, complaint)
			}
			for line := range strings.SplitSeq(out, "\n") {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "- --") && strings.HasSuffix(line, "=") || strings.Contains(line, "%!") {
					t.Errorf("%s=null makes the line %s", at, line)
				}
			}
			if inner, ok := value.(map[string]any); ok {
				try(at+".", inner)
			}
		}
	}
	try("", values)
	for at, want := range map[string]bool{
		"manager": true, "eventLog.maxAge": true, "webhook.service.public.port": true, // without which nothing can run
		"manager.nodeSelector": false, "commonLabels": false, "webhook.resources": false, "eventLog.embedded.persistence.storageClass": false,
	} {
		if got, there := refused[at]; got != want || !there {
			t.Errorf("%s=null: refused %t", at, got)
		}
	}
}

// TestNumbersAreWrittenOut: a file of values gives floats, which would be 1e+06 from a million on.
func TestNumbersAreWrittenOut(t *testing.T) {
	file := filepath.Join("testdata", "values", "large-numbers.yaml")
	for set, want := range map[string][]string{
		"tests.enabled=false": {
			"  replicas: 1000000\n", "--concurrent-channels=1000000\n", "--event-log-max-bytes=21474836480\n", "--nats-replicas=3\n",
			"minReplicas: 1000000\n", "maxReplicas: 1000000\n", "averageUtilization: 1000000\n", "memory: 5368709120\n",
		},
		"webhook.autoscaling.enabled=false,manager.replicas=1": {"  replicas: 2000000\n"},
	} {
		out, errs, err := helm(t, "template", "x", chart, "--values", file, "--set", set)
		if err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("with %s there is no %q", set, text)
			}
		}
		if i := strings.Index(out, "e+0"); i >= 0 {
			t.Errorf("with %s there is %q", set, out[max(0, i-40):i+10])
		}
	}
}

// TestNamesThatLookLikeNumbers: a name may be 123 or 1e3, and is a string in every object. Schemas of Kubernetes say so of the file of values; this
// is about what the file cannot say.
func TestNamesThatLookLikeNumbers(t *testing.T) {
	out, errs, err := helm(t, "template", "123", chart, "--namespace", "1e3", "--set-string", "nameOverride=1,watchNamespaces={123,true}",
		"--values", filepath.Join("testdata", "values", "names-like-numbers.yaml"))
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	for _, object := range objects(t, out) {
		metadata := object.Object["metadata"].(map[string]any)
		where, there := metadata["namespace"]
		if _, ok := where.(string); there && !ok {
			t.Errorf("%s %s is in the namespace %v (%[3]T)", object.GetKind(), object.GetName(), where)
		}
		for key, value := range metadata["labels"].(map[string]any) {
			if _, ok := value.(string); !ok {
				t.Errorf("%s %s has the label %s: %v (%[4]T)", object.GetKind(), object.GetName(), key, value)
			}
		}
	}
}

// TestTheNotesCanBeApplied: what they have people apply is an object whatever the id of the simulator's app looks like.
func TestTheNotesCanBeApplied(t *testing.T) {
	out, errs, err := helm(t, "install", "x", chart, "--dry-run=client", "--namespace", "123", "--set", "simulator.enabled=true",
		"--set-string", "simulator.appID=123")
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	_, notes, _ := strings.Cut(out, "<<EOF\n")
	text, _, _ := strings.Cut(notes, "  EOF")
	var app map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	id, _, err := unstructured.NestedString(app, "spec", "appID")
	where, _, wrong := unstructured.NestedString(app, "spec", "secretRef", "namespace")
	if id != "123" || where != "123" {
		t.Errorf("the notes have %v, %v\n%s", err, wrong, text)
	}
}

// TestTheSchemaKnowsWhatProgramsTake compares patterns of the schema with who reads the values in the end.
func TestTheSchemaKnowsWhatProgramsTake(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	endpoint := schema.Properties["webhook"].Properties["tracing"].Properties["endpoint"]
	for _, url := range []string{
		"http://a", "https://a.b:4318", "http://a:", "http://a/v1/traces", "http://a/%20", "http://a/b c", "http://a?x=%zz", "http://a/b?c#d",
		"http://[::1]:4318",
		"http://bad host", "http://a:port", "http://a/%zz", "http://a\t", "http://a/\n", "http://", "http:///x", "http://user@a", "http://a:b@c", "ftp://a",
		"collector:4318", "http://%41", "http://[::1", "http://a<b", "http://a#%zz", "http://a/x@y", "http://\"a\"",
	} {
		reads, takes := tracing.CheckEndpoint(url), endpoint.Validate(url)
		if reads == nil && takes != nil || reads != nil && takes == nil {
			t.Errorf("%q: the webhook says %v, the schema %v", url, reads, takes)
		}
	}
	memory := schema.Properties["webhook"].Properties["resources"]
	for _, amount := range []string{
		"1", "1.5Gi", ".5", "5.", "100m", "1e3", "1E3", "1E", "1k", "+1", "1Ki", "1u", "lots", "1K", "1ki", "1 Gi", "", "1.5.5", "1e", "1Gii", "0x1",
	} {
		_, reads := resource.ParseQuantity(amount)
		takes := memory.Validate(map[string]any{"limits": map[string]any{"memory": amount}})
		if (reads == nil) != (takes == nil) {
			t.Errorf("%q: Kubernetes says %v, the schema %v", amount, reads, takes)
		}
	}
}
