// Package gitops tests what GitOps tools make of channels: Argo CD's Lua, Flux's CEL, and kstatus, which Flux, Helm and kpt go by.
package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var config = filepath.Join("..", "..", "config", "gitops")

// channels are as the operator writes them in each state, and what each tool is to make of them.
var channels = []struct {
	name       string
	spec       map[string]any
	observed   int64
	conditions [][3]string // type, status, reason
	argo       string
	kstatus    status.Status
	flux       status.Status
}{
	{name: "new", argo: "Progressing", kstatus: status.InProgressStatus, flux: status.InProgressStatus},
	{
		name: "nobody has authorized it yet", observed: 2, argo: "Suspended", kstatus: status.InProgressStatus, flux: status.CurrentStatus,
		conditions: [][3]string{
			{"Ready", "False", "AwaitingAuthorization"}, {"Authorized", "False", "AwaitingAuthorization"}, {"TokenFresh", "False", "NoToken"},
			{"ReauthorizationRequired", "False", "NotRequired"}, {"Reconciling", "True", "AwaitingAuthorization"},
		},
	},
	{
		name: "ready", observed: 2, argo: "Healthy", kstatus: status.CurrentStatus, flux: status.CurrentStatus,
		conditions: [][3]string{
			{"Ready", "True", "Succeeded"}, {"Authorized", "True", "Authorized"}, {"TokenFresh", "True", "TokenFresh"},
			{"ReauthorizationRequired", "False", "NotRequired"},
		},
	},
	{
		name: "ready, with a spec that nobody has looked at", observed: 1, argo: "Progressing", kstatus: status.InProgressStatus, flux: status.InProgressStatus,
		conditions: [][3]string{{"Ready", "True", "Succeeded"}},
	},
	{
		name: "lost", observed: 2, argo: "Degraded", kstatus: status.FailedStatus, flux: status.FailedStatus,
		conditions: [][3]string{
			{"Ready", "False", "RefreshTokenRefused"}, {"ReauthorizationRequired", "True", "RefreshTokenRefused"},
			{"Stalled", "True", "RefreshTokenRefused"},
		},
	},
	{
		name: "its app does not allow it", observed: 2, argo: "Degraded", kstatus: status.FailedStatus, flux: status.FailedStatus,
		conditions: [][3]string{{"Ready", "False", "AppNotAllowed"}, {"Stalled", "True", "AppNotAllowed"}},
	},
	{
		name: "TikTok is away", observed: 2, argo: "Progressing", kstatus: status.InProgressStatus, flux: status.InProgressStatus,
		conditions: [][3]string{{"Ready", "False", "RefreshFailed"}, {"Reconciling", "True", "RefreshFailed"}},
	},
}

func object(spec map[string]any, observed int64, conditions [][3]string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "channels.tiktok-operator.io/v1alpha1", "kind": "TiktokChannel",
		"metadata": map[string]any{"name": "acme", "generation": int64(2)}, "spec": spec,
	}}
	if observed == 0 { // the schema's default says that nobody has looked at it
		o.Object["status"] = map[string]any{"observedGeneration": int64(-1)}
		return o
	}
	var all []any
	for _, c := range conditions {
		all = append(all, map[string]any{
			"type": c[0], "status": c[1], "reason": c[2], "message": "because", "observedGeneration": observed,
			"lastTransitionTime": "2026-11-24T00:00:00Z",
		})
	}
	o.Object["status"] = map[string]any{"observedGeneration": observed, "conditions": all}
	return o
}

// recorded are objects that a test of the operator has recorded as it wrote them on a real API server, in testdata.
var recorded = map[string]verdict{
	"channel-new":                                {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"channel-ready":                              {"Healthy", status.CurrentStatus, status.CurrentStatus},
	"channel-awaiting-authorization":             {"Suspended", status.InProgressStatus, status.CurrentStatus},
	"channel-suspended":                          {"Suspended", status.InProgressStatus, status.CurrentStatus},
	"channel-authorization-lost":                 {"Degraded", status.FailedStatus, status.FailedStatus},
	"channel-authorization-lost-while-suspended": {"Degraded", status.FailedStatus, status.FailedStatus},
	"channel-import-secret-missing":              {"Suspended", status.InProgressStatus, status.CurrentStatus},
	"channel-no-such-app":                        {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"app-new":                                    {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"app-ready":                                  {"Healthy", status.CurrentStatus, status.CurrentStatus},
	"app-credentials-refused":                    {"Degraded", status.FailedStatus, status.FailedStatus},
	"app-secret-not-readable":                    {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"app-tiktok-away":                            {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"app-webhook-unreachable":                    {"Progressing", status.InProgressStatus, status.InProgressStatus},
	"app-webhook-not-approved":                   {"Degraded", status.FailedStatus, status.FailedStatus},
}

// verdict is what each tool makes of an object. Helm waits by kstatus, as Flux does where it is given no expressions.
type verdict struct {
	argo    string
	kstatus status.Status
	flux    status.Status
}

func TestObjectsAsTheOperatorWritesThem(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(files) != len(recorded) {
		t.Fatalf("%d objects are recorded, of %d something is expected: %v", len(files), len(recorded), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			if got := judge(t, read(t, file)); got != recorded[name] {
				t.Errorf("it is %+v, want %+v", got, recorded[name])
			}
		})
	}
}

func read(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return o
}

// judge asks every tool about an object.
func judge(t *testing.T, o *unstructured.Unstructured) verdict {
	t.Helper()
	result, err := status.Compute(o)
	if err != nil {
		t.Fatal(err)
	}
	return verdict{argo: argo(t, strings.ToLower(o.GetKind())+".lua", o), kstatus: result.Status, flux: flux(t, o)}
}

func TestTools(t *testing.T) {
	for _, tt := range channels {
		t.Run(tt.name, func(t *testing.T) {
			o := object(map[string]any{}, tt.observed, tt.conditions)
			if got, want := judge(t, o), (verdict{tt.argo, tt.kstatus, tt.flux}); got != want {
				t.Errorf("it is %+v, want %+v", got, want)
			}
		})
	}
	suspended := object(map[string]any{"suspend": true}, 2, [][3]string{{"Ready", "False", "Suspended"}})
	if got, want := judge(t, suspended), (verdict{"Suspended", status.InProgressStatus, status.CurrentStatus}); got != want {
		t.Errorf("a suspended channel is %+v, want %+v", got, want)
	}
	for _, tt := range []struct {
		observed   int64
		conditions [][3]string
		want       verdict
	}{
		{0, nil, verdict{"Progressing", status.InProgressStatus, status.InProgressStatus}},
		{1, [][3]string{{"Ready", "True", "Succeeded"}}, verdict{"Progressing", status.InProgressStatus, status.InProgressStatus}},
		{2, [][3]string{{"Ready", "True", "Succeeded"}}, verdict{"Healthy", status.CurrentStatus, status.CurrentStatus}},
		{2, [][3]string{{"Ready", "False", "CredentialsRefused"}, {"Stalled", "True", "CredentialsRefused"}}, verdict{"Degraded", status.FailedStatus, status.FailedStatus}},
	} {
		o := object(nil, tt.observed, tt.conditions)
		o.SetKind("TiktokApp")
		if got := judge(t, o); got != tt.want {
			t.Errorf("an app with %v, observed at %d, is %+v, want %+v", tt.conditions, tt.observed, got, tt.want)
		}
	}
}
