// Package chart tests the Helm chart: what it renders for many values is taken by real API servers' schemas and by a namespace with the
// restricted Pod Security Standard, and what cannot work is refused with a sentence. make test-chart runs it with the pinned helm.
package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const namespace = "tiktok-operator-system"

var (
	root  = filepath.Join("..", "..")
	chart = filepath.Join(root, "charts", "tiktok-operator")
)

// kubeVersions are the versions of Kubernetes that the chart is rendered for, each with the module version that its schema is taken from.
var kubeVersions = []string{"v1.35.4", "v1.36.4", "v1.37.2"}

// helm runs the helm that $HELM names.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := os.Getenv("HELM")
	if path == "" {
		t.Skip("HELM does not name a helm: make test-chart sets it")
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	// Nothing of the user's own configuration counts.
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir(), "KUBECONFIG=/dev/null")
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// render renders the chart and returns its objects.
func render(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	out, errs, err := helm(t, append([]string{"template", "tiktok-operator", chart, "--namespace", namespace}, args...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, errs)
	}
	return objects(t, out)
}

func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(text, "\n---") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(object) > 0 {
			all = append(all, &unstructured.Unstructured{Object: object})
		}
	}
	return all
}

// matrix are the files of values that must render.
func matrix(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "values", "*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("looking for values: %v, %v", files, err)
	}
	return files
}

func TestLint(t *testing.T) {
	for _, file := range matrix(t) {
		if out, errs, err := helm(t, "lint", "--strict", chart, "--values", file); err != nil {
			t.Errorf("%s: %v\n%s%s", file, err, out, errs)
		}
	}
}

func TestMistakesAreRefusedWithASentence(t *testing.T) {
	for set, want := range map[string]string{
		"webhok.replicas=2":                                                    "webhok",
		"webhook.replicas=2":                                                   "need an external NATS",
		"webhook.replicas=two":                                                 "/webhook/replicas",
		"webhook.autoscaling.enabled=true":                                     "need an external NATS",
		"manager.replicas=-1":                                                  "/manager/replicas",
		"image.pullPolicy=Sometimes":                                           "/image/pullPolicy",
		"webhook.messageRules=loose":                                           "/webhook/messageRules",
		"webhook.tracing.endpoint=collector:4318":                              "/webhook/tracing/endpoint",
		"webhook.tracing.sampleRatio=2":                                        "/webhook/tracing/sampleRatio",
		"webhook.signatureTolerance=3 days":                                    "/webhook/signatureTolerance",
		"eventLog.maxBytes=lots":                                               "/eventLog/maxBytes",
		"eventLog.nats.replicas=2":                                             "/eventLog/nats/replicas",
		"eventLog.nats.url=http://nats":                                        "/eventLog/nats/url",
		"eventLog.nats.url=nats://user:password@nats":                          "/eventLog/nats/url",
		"eventLog.nats.credentials.existingSecret=x":                           "go with eventLog.nats.url",
		"eventLog.nats.url=nats://a,eventLog.nats.urlFrom.secret=b":            "not both",
		"webhook.tls.certManager.enabled=true":                                 "needs issuerRef.name",
		"ingress.enabled=true":                                                 "needs ingress.hosts",
		"gateway.enabled=true":                                                 "needs gateway.parentRefs",
		"watchNamespaces={Team}":                                               "/watchNamespaces/0",
		"logging.level=loud":                                                   "/logging/level",
		"authorizationLinks=mail":                                              "/authorizationLinks",
		"simulator.enabled=true,webhook.replicas=2,eventLog.nats.url=nats://a": "needs webhook.replicas 1",
		// What only the binary or the cluster would refuse otherwise.
		"eventLog.maxAge=1h":                                    "73h at least",
		"webhook.signatureTolerance=1ms":                        "between 1s and 743h",
		"webhook.signatureTolerance=744h":                       "between 1s and 743h",
		"webhook.signatureTolerance=80h,eventLog.maxAge=80h":    "an hour more than webhook.signatureTolerance",
		"eventLog.embedded.fsync=1h":                            "between 10ms and 10m",
		"eventLog.maxBytes=500m":                                "/eventLog/maxBytes",
		"eventLog.maxBytes=20K":                                 "/eventLog/maxBytes",
		"eventLog.embedded.persistence.size=0":                  "/eventLog/embedded/persistence/size",
		"eventLog.nats.replicas=3":                              "goes with eventLog.nats.url",
		"simulator.accessTokenTTL=0s":                           "1s at least",
		"metrics.serviceMonitor.interval=1.5m":                  "/metrics/serviceMonitor/interval",
		"fullnameOverride=a.b":                                  "/fullnameOverride",
		"fullnameOverride=1x":                                   "/fullnameOverride",
		"nameOverride=a.b":                                      "/nameOverride",
		"webhook.resources.limit.memory=1Gi":                    "limit",
		"manager.resources.limits.memroy=1Gi":                   "memroy",
		"image.registry=https://ghcr.io/team":                   "/image/registry",
		"image.registry=ghcr.io/team/":                          "/image/registry",
		"image.tag=a b":                                         "/image/tag",
		"image.tag=v1@sha256:" + strings.Repeat("0", 64):        "set image.digests",
		"image.digests.webhook=sha256:0":                        "/image/digests/webhook",
		`commonLabels.app\.kubernetes\.io/name=other`:           "/commonLabels",
		`manager.podLabels.app\.kubernetes\.io/component=other`: "/manager/podLabels",
		`metrics.dashboard.labels.helm\.sh/chart=other`:         "/metrics/dashboard/labels",
		"webhook.extraVolumes[0].name=data":                     "/webhook/extraVolumes",
		"eventLog.maxAge=2562048h":                              "eventLog.maxAge must be 2562047h at most",
		"simulator.accessTokenTTL=2562048h":                     "simulator.accessTokenTTL must be 2562047h at most",
		"webhook.tls.certManager.duration=153722868m":           "webhook.tls.certManager.duration must be 2562047h at most",
		"eventLog.maxBytes=20":                                  "64Mi at least",
		"eventLog.maxBytes=67108863":                            "64Mi at least",
		"eventLog.maxBytes=67108k":                              "64Mi at least",
		"eventLog.maxBytes=8Ei":                                 "less than 8Ei",
		"eventLog.maxBytes=9999999E":                            "less than 8Ei",
		"eventLog.maxBytes=9223372036854775807":                 "/eventLog/maxBytes",
		"manager.replicas=2147483648":                           "/manager/replicas",
		"simulator.appID=a: b":                                  "/simulator/appID",
		"simulator.enabled=true,simulator.appSecret=null":       "needs simulator.appID and simulator.appSecret",
		"manager.resources.limits.memory=lots":                  "/manager/resources/limits/memory",
		"webhook.resources.requests.cpu=-1":                     "/webhook/resources/requests/cpu",
		"commonLabels.x=a b":                                    "/commonLabels/x",
		"commonLabels.a b=x":                                    "/commonLabels",
		"webhook.podLabels.x=-":                                 "/webhook/podLabels/x",
		"webhook.nodeSelector.x=a b":                            "/webhook/nodeSelector/x",
		"eventLog.nats.urlFrom.key=a/b":                         "/eventLog/nats/urlFrom/key",
		"eventLog.embedded.persistence.enabled=false,eventLog.embedded.persistence.existingClaim=x": "needs persistence.enabled",
		"eventLog.embedded.persistence.size=null":                                                   "needs size and accessModes",
		"eventLog.nats.url=nats://a,webhook.autoscaling.enabled=true,webhook.resources=null":        "needs webhook.resources.requests.cpu",
		"networkPolicy.private=null":                                                                "private",
	} {
		_, errs, err := helm(t, "template", "x", chart, "--set", set)
		if err == nil {
			t.Errorf("%s is rendered", set)
			continue
		}
		if !strings.Contains(errs, want) && !strings.Contains(errs, strings.ReplaceAll(strings.TrimPrefix(want, "/"), "/", ".")) {
			t.Errorf("%s is refused without %q:\n%s", set, want, errs)
		}
	}
}

// TestNamesThatServicesCannotHaveAreRefused is about releases, whose names may have more than those of the objects that are named after them.
func TestNamesThatServicesCannotHaveAreRefused(t *testing.T) {
	for name, refused := range map[string]bool{"1x": true, "a.b": true, "a1": false} {
		_, errs, err := helm(t, "template", name, chart)
		if (err != nil) != refused || refused && !strings.Contains(errs, "set fullnameOverride") {
			t.Errorf("the release %s: %v\n%s", name, err, errs)
		}
	}
	if _, errs, err := helm(t, "template", "1x", chart, "--set", "fullnameOverride=x"); err != nil {
		t.Errorf("with fullnameOverride: %v\n%s", err, errs)
	}
}

// TestLeastAndMostAreTaken: what the sentences of refusals name as a bound is not refused.
func TestLeastAndMostAreTaken(t *testing.T) {
	for _, set := range []string{
		"eventLog.maxAge=73h", "eventLog.maxAge=72h59m60s", "webhook.signatureTolerance=1s", "webhook.signatureTolerance=743h",
		"webhook.signatureTolerance=79h,eventLog.maxAge=80h", "eventLog.embedded.fsync=10ms", "eventLog.embedded.fsync=10m",
		"simulator.accessTokenTTL=1s", "eventLog.maxBytes=1.5Gi", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.interval=1m30s",
		"manager.resources.limits.nvidia\\.com/gpu=1", "image.registry=localhost:5000",
		"eventLog.maxAge=2562047h", "eventLog.maxBytes=64Mi", "eventLog.maxBytes=67108864", "eventLog.maxBytes=7Ei", "eventLog.maxBytes=0Gi",
		"manager.resources.limits.cpu=1.5,manager.resources.requests.cpu=.5,manager.resources.limits.memory=1e9", "commonLabels.x=",
		"commonLabels.example\\.com/x=A-b_c.D", "networkPolicy.enabled=false,networkPolicy.private=null", "commonLabels=null,webhook.podAnnotations=null",
		"eventLog.nats.url=nats://a,webhook.autoscaling.enabled=true,webhook.resources.requests=null,webhook.resources.limits.cpu=1",
		// What an external NATS makes superfluous may stay in a file of values.
		"eventLog.nats.url=nats://a,eventLog.embedded.persistence.enabled=false,eventLog.embedded.persistence.existingClaim=x",
	} {
		if _, errs, err := helm(t, "template", "x", chart, "--set", set); err != nil {
			t.Errorf("%s: %v\n%s", set, err, errs)
		}
	}
}

// TestEachImageHasItsOwnDigest: they are other images, of which none is found under another's digest. Who gives some only has the others by tag.
func TestEachImageHasItsOwnDigest(t *testing.T) {
	digest := func(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }
	set := "simulator.enabled=true,image.tag=v9,image.digests.manager=" + digest("1") + ",image.digests.webhook=" + digest("2")
	at := "ghcr.io/tiktok-operator/"
	for simulator, want := range map[string][]string{
		"": {at + "manager:v9@" + digest("1"), at + "tiktok-simulator:v9", at + "webhook:v9@" + digest("2"), at + "webhook:v9@" + digest("2")},
		digest("3"): {
			at + "manager:v9@" + digest("1"), at + "tiktok-simulator:v9@" + digest("3"), at + "webhook:v9@" + digest("2"), at + "webhook:v9@" + digest("2"),
		},
	} {
		var images []string
		for _, object := range render(t, "--set", set+",image.digests.simulator="+simulator) {
			path := []string{"spec", "template", "spec", "containers"}
			if object.GetKind() == "Pod" {
				path = []string{"spec", "containers"}
			}
			containers, _, _ := unstructured.NestedSlice(object.Object, path...)
			for _, container := range containers {
				images = append(images, container.(map[string]any)["image"].(string))
			}
		}
		slices.Sort(images)
		if !slices.Equal(images, want) {
			t.Errorf("with simulator %q the images are\n%s", simulator, strings.Join(images, "\n"))
		}
	}
}

// TestOneLabelOneValue: a label that several values name is there once, and the nearest counts.
func TestOneLabelOneValue(t *testing.T) {
	for _, object := range render(t, "--set", "commonLabels.team=all,webhook.podLabels.team=webhook") { // which refuses keys that are there twice
		labels, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
		if object.GetName() == "tiktok-operator-webhook" && labels != nil && labels["team"] != "webhook" {
			t.Errorf("the webhook's pods have %v", labels)
		}
		if object.GetLabels()["team"] != "all" {
			t.Errorf("%s %s has the labels %v", object.GetKind(), object.GetName(), object.GetLabels())
		}
	}
}

// TestNamespacesThatAreNamedBoundTheRoles says that with watchNamespaces nothing in a namespace is granted for the whole cluster.
func TestNamespacesThatAreNamedBoundTheRoles(t *testing.T) {
	granted := map[string]bool{}
	all := render(t, "--values", filepath.Join("testdata", "values", "watch-namespaces.yaml"))
	for _, object := range all {
		if object.GetKind() == "Role" {
			granted[object.GetNamespace()+"/"+object.GetName()] = true
		}
		name := object.GetName()
		if object.GetKind() != "ClusterRole" || (name != "tiktok-operator-manager" && name != "tiktok-operator-webhook") {
			continue
		}
		rules, _, _ := unstructured.NestedSlice(object.Object, "rules")
		if len(rules) == 0 {
			t.Errorf("%s has no rules", name)
		}
		for _, rule := range rules {
			resources, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
			for _, resource := range resources {
				switch kind, _, _ := strings.Cut(resource, "/"); kind {
				case "tiktokapps", "tokenreviews", "subjectaccessreviews":
				default:
					t.Errorf("%s grants %s in every namespace", name, resource)
				}
			}
		}
	}
	for _, want := range []string{
		"team-a/tiktok-operator-manager-channels", "team-b/tiktok-operator-webhook-channels", namespace + "/tiktok-operator-manager",
		"default/tiktok-operator-manager-events",
	} {
		if !granted[want] {
			t.Errorf("there is no Role %s: %v", want, granted)
		}
	}

	// Beside the namespaces of channels: the operator's own, whose Secrets only the manager writes, and of these only its keys anew; and default,
	// where the manager alone tells of apps.
	outside := map[string][]string{}
	for account, list := range permissions(t, all) {
		for _, what := range list {
			if strings.HasPrefix(what, "default ") || strings.HasPrefix(what, namespace+"  secrets ") {
				outside[account] = append(outside[account], what)
			}
		}
	}
	want := map[string][]string{
		namespace + "/tiktok-operator-manager": {
			"default events.k8s.io events create", "default events.k8s.io events patch",
			namespace + "  secrets create", namespace + "  secrets get", namespace + "  secrets update tiktok-operator-link-keys",
		},
		namespace + "/tiktok-operator-webhook": {namespace + "  secrets get"},
	}
	if !reflect.DeepEqual(outside, want) {
		t.Errorf("outside of the namespaces of channels the accounts may\n%v\ninstead of\n%v", outside, want)
	}
}
