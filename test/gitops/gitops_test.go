// Package gitops tests what GitOps tools make of channels: Argo CD's Lua, Flux's CEL, and kstatus, which Flux, Helm and kpt go by.
package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
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
	flux       string
}{
	{name: "new", argo: "Progressing", kstatus: status.InProgressStatus, flux: "in progress"},
	{
		name: "nobody has authorized it yet", observed: 2, argo: "Suspended", kstatus: status.InProgressStatus, flux: "current",
		conditions: [][3]string{
			{"Ready", "False", "AwaitingAuthorization"}, {"Authorized", "False", "AwaitingAuthorization"}, {"TokenFresh", "False", "NoToken"},
			{"ReauthorizationRequired", "False", "NotRequired"}, {"Reconciling", "True", "AwaitingAuthorization"},
		},
	},
	{
		name: "ready", observed: 2, argo: "Healthy", kstatus: status.CurrentStatus, flux: "current",
		conditions: [][3]string{
			{"Ready", "True", "Succeeded"}, {"Authorized", "True", "Authorized"}, {"TokenFresh", "True", "TokenFresh"},
			{"ReauthorizationRequired", "False", "NotRequired"},
		},
	},
	{
		name: "ready, with a spec that nobody has looked at", observed: 1, argo: "Progressing", kstatus: status.InProgressStatus, flux: "in progress",
		conditions: [][3]string{{"Ready", "True", "Succeeded"}},
	},
	{
		name: "lost", observed: 2, argo: "Degraded", kstatus: status.FailedStatus, flux: "failed",
		conditions: [][3]string{
			{"Ready", "False", "RefreshTokenRefused"}, {"ReauthorizationRequired", "True", "RefreshTokenRefused"},
			{"Stalled", "True", "RefreshTokenRefused"},
		},
	},
	{
		name: "its app does not allow it", observed: 2, argo: "Degraded", kstatus: status.FailedStatus, flux: "failed",
		conditions: [][3]string{{"Ready", "False", "AppNotAllowed"}, {"Stalled", "True", "AppNotAllowed"}},
	},
	{
		name: "TikTok is away", observed: 2, argo: "Progressing", kstatus: status.InProgressStatus, flux: "in progress",
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

// recorded are channels that a test of the operator has recorded as it wrote them on a real API server, in testdata.
var recorded = map[string]verdict{
	"ready":                  {"Healthy", status.CurrentStatus, "current"},
	"awaiting-authorization": {"Suspended", status.InProgressStatus, "current"},
	"suspended":              {"Suspended", status.InProgressStatus, "current"},
	"authorization-lost":     {"Degraded", status.FailedStatus, "failed"},
	"no-such-app":            {"Progressing", status.InProgressStatus, "in progress"},
}

// verdict is what each tool makes of a channel.
type verdict struct {
	argo    string
	kstatus status.Status
	flux    string
}

func TestChannelsAsTheOperatorWritesThem(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(files) != len(recorded) {
		t.Fatalf("%d channels are recorded, of %d something is expected: %v", len(files), len(recorded), err)
	}
	failed, current := expressions(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, err = yaml.YAMLToJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			o := &unstructured.Unstructured{}
			if err := o.UnmarshalJSON(text); err != nil {
				t.Fatal(err)
			}
			if got := judge(t, o, failed, current); got != recorded[name] {
				t.Errorf("it is %+v, want %+v", got, recorded[name])
			}
		})
	}
}

// judge asks every tool about a channel.
func judge(t *testing.T, o *unstructured.Unstructured, failed, current cel.Program) verdict {
	t.Helper()
	result, err := status.Compute(o)
	if err != nil {
		t.Fatal(err)
	}
	v := verdict{argo: argo(t, "tiktokchannel.lua", o), kstatus: result.Status, flux: "in progress"}
	if evaluate(failed, o) {
		v.flux = "failed"
	} else if evaluate(current, o) {
		v.flux = "current"
	}
	return v
}

func TestTools(t *testing.T) {
	failed, current := expressions(t)
	for _, tt := range channels {
		t.Run(tt.name, func(t *testing.T) {
			o := object(map[string]any{}, tt.observed, tt.conditions)
			if got, want := judge(t, o, failed, current), (verdict{tt.argo, tt.kstatus, tt.flux}); got != want {
				t.Errorf("it is %+v, want %+v", got, want)
			}
		})
	}
	suspended := object(map[string]any{"suspend": true}, 2, [][3]string{{"Ready", "False", "Suspended"}})
	if got := argo(t, "tiktokchannel.lua", suspended); got != "Suspended" {
		t.Errorf("Argo CD shows a suspended channel as %s", got)
	}
	for want, o := range map[string]*unstructured.Unstructured{
		"Progressing": object(nil, 0, nil), "Healthy": object(nil, 2, [][3]string{{"Ready", "True", "Succeeded"}}),
		"Degraded": object(nil, 2, [][3]string{{"Ready", "False", "CredentialsRefused"}, {"Stalled", "True", "CredentialsRefused"}}),
	} {
		if got := argo(t, "tiktokapp.lua", o); got != want {
			t.Errorf("Argo CD shows an app as %s, want %s", got, want)
		}
	}
}

// argo runs a script as Argo CD does: with obj, and without what reaches out of it.
func argo(t *testing.T, script string, o *unstructured.Unstructured) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(config, "argocd", script))
	if err != nil {
		t.Fatal(err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	l.SetGlobal("obj", value(l, o.Object))
	if err := l.DoString(string(text)); err != nil {
		t.Fatal(err)
	}
	health, ok := l.Get(-1).(*lua.LTable)
	if !ok || health.RawGetString("message").String() == "" {
		t.Fatalf("%s returns %v", script, l.Get(-1))
	}
	return health.RawGetString("status").String()
}

func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, inner := range v {
			table.RawSetString(key, value(l, inner))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, inner := range v {
			table.Append(value(l, inner))
		}
		return table
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	}
	return lua.LNil
}

// expressions are those of the Flux example.
func expressions(t *testing.T) (failed, current cel.Program) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(config, "flux", "channels.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Spec struct {
			HealthCheckExprs []struct{ Failed, Current string }
		}
	}
	if err := yaml.Unmarshal(text, &example); err != nil || len(example.Spec.HealthCheckExprs) != 1 {
		t.Fatalf("the example has no expressions: %v", err)
	}
	env, err := cel.NewEnv(cel.Variable("metadata", cel.DynType), cel.Variable("spec", cel.DynType), cel.Variable("status", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	compile := func(expression string) cel.Program {
		ast, issues := env.Compile(expression)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	return compile(example.Spec.HealthCheckExprs[0].Failed), compile(example.Spec.HealthCheckExprs[0].Current)
}

// evaluate is false where a field is missing, as Flux has it.
func evaluate(program cel.Program, o *unstructured.Unstructured) bool {
	out, _, err := program.Eval(map[string]any{"metadata": o.Object["metadata"], "spec": o.Object["spec"], "status": o.Object["status"]})
	return err == nil && out.Value() == true
}
