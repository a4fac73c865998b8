package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

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

// TestWhatEndsAWave: of an object in a wave that another wave or a hook follows, Argo CD waits for Healthy, and fails the sync for Degraded. Anything
// else, Suspended too, has the sync wait, however long. So with tiktokchannel.lua a channel that waits for a person holds the later waves up, and
// with tiktokchannel-waves.lua it does not. They differ in nothing else.
func TestWhatEndsAWave(t *testing.T) {
	type ends struct{ plain, waves string } // "": the sync waits
	want := map[string]ends{
		"channel-new":                                {},
		"channel-ready":                              {"Healthy", "Healthy"},
		"channel-awaiting-authorization":             {"", "Healthy"},
		"channel-import-secret-missing":              {"", "Healthy"},
		"channel-suspended":                          {"", "Healthy"},
		"channel-authorization-lost":                 {"Degraded", "Degraded"},
		"channel-authorization-lost-while-suspended": {"Degraded", "Degraded"},
		"channel-no-such-app":                        {},
	}
	files, err := filepath.Glob(filepath.Join("testdata", "channel-*.yaml"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d channels are recorded, of %d something is expected: %v", len(files), len(want), err)
	}
	for _, file := range files {
		o := read(t, file)
		var got ends
		for script, end := range map[string]*string{"tiktokchannel.lua": &got.plain, "tiktokchannel-waves.lua": &got.waves} {
			if health := argo(t, script, o); health == "Healthy" || health == "Degraded" {
				*end = health
			}
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".yaml"); got != want[name] {
			t.Errorf("a wave with %s ends with %+v, want %+v", name, got, want[name])
		}
	}
	for _, tt := range channels {
		o := object(map[string]any{}, tt.observed, tt.conditions)
		plain, waves := argo(t, "tiktokchannel.lua", o), argo(t, "tiktokchannel-waves.lua", o)
		if plain != waves && (plain != "Suspended" || waves != "Healthy") {
			t.Errorf("%s: %s, and with waves %s", tt.name, plain, waves)
		}
	}
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
