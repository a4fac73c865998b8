package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/plugintest"
)

// run runs the plugin.
func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = Main(t.Context(), "v1.2.3", args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// pages answers lists of conversations, of which there are so many.
func pages(all int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var first, limit int
		_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &first)
		if _, err := fmt.Sscan(r.URL.Query().Get("limit"), &limit); err != nil || limit < 1 || limit > 100 {
			http.Error(w, "limit is a number from 1 to 100", http.StatusBadRequest)
			return
		}
		var page struct {
			Items    []map[string]string `json:"items"`
			Continue string              `json:"continue,omitempty"`
		}
		for i := first; i < min(first+limit, all); i++ {
			page.Items = append(page.Items, map[string]string{"id": fmt.Sprintf("conversation-%d", i)})
		}
		if first+limit < all {
			page.Continue = fmt.Sprint(first + limit)
		}
		_ = json.NewEncoder(w).Encode(page)
	}
}

func TestListsGoOnUntilTheirLimitAndSayThatThereAreMore(t *testing.T) {
	cluster := plugintest.New(t, pages(250))
	for _, tt := range []struct {
		args  []string
		shown int
		more  bool
	}{
		{nil, 100, true},
		{[]string{"--limit=130"}, 130, true},
		{[]string{"--limit=250"}, 250, false},
		{[]string{"--limit=1000"}, 250, false},
		{[]string{"--limit=0"}, 250, false},
		{[]string{"--limit=0", "-o=wide"}, 250, false},
	} {
		code, out, errs := run(t, slices.Concat([]string{"conversations", "acme"}, tt.args, cluster.Args())...)
		if shown := strings.Count(out, "conversation-"); code != 0 || shown != tt.shown {
			t.Errorf("%v: %d are shown, want %d (it ended with %d: %s)", tt.args, shown, tt.shown, code, errs)
		}
		if more := strings.Contains(errs, fmt.Sprintf("There are more than these %d", tt.shown)); more != tt.more {
			t.Errorf("%v: it says %q", tt.args, errs)
		}
	}
	_, out, _ := run(t, slices.Concat([]string{"conversations", "acme", "--limit=120", "-o=json"}, cluster.Args())...)
	var answer struct {
		Items    []struct{ ID string }
		Continue string
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Items) != 120 || answer.Continue != "120" {
		t.Errorf("-o json has %d items and goes on at %q: %v", len(answer.Items), answer.Continue, err)
	}
}

func TestManyReplaysNeedOneTunnel(t *testing.T) {
	cluster := plugintest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/replay") {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprint(w, `{"replayed":1}`)
	}))
	code, out, errs := run(t, slices.Concat([]string{"replay", "acme", "1", "2", "3", "-o=yaml"}, cluster.Args())...)
	if code != 0 || out != "replayed: 3\n" {
		t.Errorf("it ended with %d: %s%s", code, out, errs)
	}
	if n := len(cluster.Forwards()); n != 1 {
		t.Errorf("there were %d port-forwards", n)
	}
}

func TestAMistakeIsToldBeforeAnythingIsDone(t *testing.T) {
	var calls atomic.Int32
	cluster := plugintest.New(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	for _, args := range [][]string{
		{"status", "-o=xml"},
		{"conversations", "acme", "-o=xml"},
		{"conversations", "acme", "--limit=-1"},
		{"messages", "acme", "c", "-o=table"},
		{"send", "acme", "c", "--text=x", "-o=wide"},
		{"deadletters", "acme", "-o=xml"},
		{"deadletters", "acme", "--since=yesterday"},
		{"replay", "acme", "--all", "-o=xml"},
		{"replay", "acme", "1", "--since=1h"},
		{"replay-events", "acme", "--since=1h"},
		{"replay-events", "acme", "--sink=crm"},
		{"refresh", "acme", "-o=xml"},
		{"authorize", "acme", "-o=xml"},
		{"version", "-o=wide"},
		{"tail", "acme", "--since=-1h"},
	} {
		if code, _, errs := run(t, append(args, cluster.Args()...)...); code != exitUsage || errs == "" {
			t.Errorf("%v ended with %d: %s", args, code, errs)
		}
	}
	if calls.Load() != 0 || len(cluster.Forwards()) != 0 {
		t.Errorf("there were %d calls and %d port-forwards", calls.Load(), len(cluster.Forwards()))
	}
}

func TestARefusalSaysWhatToAskFor(t *testing.T) {
	for what, want := range map[string]string{"list pods": "lists pods", "create pods/portforward": "creates pods/portforward"} {
		cluster := plugintest.New(t, pages(1))
		cluster.Forbid(what)
		code, _, errs := run(t, append([]string{"conversations", "acme"}, cluster.Args()...)...)
		if code != exitFailed || !strings.Contains(errs, "cannot "+what) || !strings.Contains(errs, want) || strings.Contains(errs, "channel-viewer") {
			t.Errorf("%s: it ended with %d: %s", what, code, errs)
		}
	}
}

// TestNobodyIsAnsweredForSomebodyElse: the private API would take the caller's own token.
func TestNobodyIsAnsweredForSomebodyElse(t *testing.T) {
	var calls atomic.Int32
	cluster := plugintest.New(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	code, _, errs := run(t, append([]string{"conversations", "acme", "--as=bob"}, cluster.Args()...)...)
	if code != exitFailed || !strings.Contains(errs, "as somebody else (--as)") || !strings.Contains(errs, "--as-service-account") {
		t.Errorf("it ended with %d: %s", code, errs)
	}
	if calls.Load() != 0 {
		t.Errorf("the private API was called %d times", calls.Load())
	}
}

func TestABundleIsThereWholeOrNotAtAll(t *testing.T) {
	cluster := plugintest.New(t, http.NotFoundHandler())
	dir := t.TempDir()
	args := append([]string{"support-bundle", "--file=" + filepath.Join(dir, "bundle.tar.gz")}, cluster.Args()...)
	files := func() (names []string) {
		t.Helper()
		found, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, f.Name())
		}
		return names
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	if code := Main(ctx, "v1.2.3", args, &out, &errs); code != exitFailed || len(files()) != 0 {
		t.Errorf("a run that was ended: %d, %s%s, and leaves %v", code, out.String(), errs.String(), files())
	}
	if code, _, errs := run(t, args...); code != 0 || !slices.Equal(files(), []string{"bundle.tar.gz"}) {
		t.Errorf("the next run ended with %d: %s, and leaves %v", code, errs, files())
	}
	if code, _, errs := run(t, args...); code != exitFailed || !strings.Contains(errs, "--file") {
		t.Errorf("a file was overwritten: %d, %s", code, errs)
	}
}

// TestTheAddressMayComeFromTheEnvironment reaches the API without a port-forward, as a program of the kubeconfig shows it.
func TestTheAddressMayComeFromTheEnvironment(t *testing.T) {
	cluster := plugintest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer made-by-a-program" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pages(1)(w, r)
	}))
	t.Setenv("TIKTOK_OPERATOR_API_URL", cluster.Address())
	t.Setenv("TIKTOK_OPERATOR_API_CA_FILE", cluster.CAFile())
	dir := t.TempDir()
	credential := `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made-by-a-program"}}`
	kubeconfig := filepath.Join(dir, "config")
	for _, file := range []struct {
		path, text string
		mode       os.FileMode
	}{
		{filepath.Join(dir, "login"), "#!/bin/sh\necho '" + credential + "'\n", 0o700},
		{kubeconfig, `
current-context: one
contexts: [{name: one, context: {cluster: one, user: somebody}}, {name: other, context: {cluster: one}}]
clusters: [{name: one, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: somebody, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ` + filepath.Join(dir, "login") + `, interactiveMode: Never}}}]
`, 0o600},
	} {
		if err := os.WriteFile(file.path, []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := run(t, "conversations", "acme", "--kubeconfig="+kubeconfig)
	if code != 0 || !strings.Contains(out, "conversation-0") || len(cluster.Forwards()) != 0 {
		t.Errorf("it ended with %d, after %d port-forwards: %s", code, len(cluster.Forwards()), errs)
	}
	for want, args := range map[string][]string{
		"conversation-0\n":   {"messages", "acme", ""},
		"other\n":            {"status", "--context", ""},
		"json\nyaml\nwide\n": {"deadletters", "acme", "-o", ""},
	} {
		if _, out, errs := run(t, slices.Concat([]string{"__complete", "--kubeconfig=" + kubeconfig}, args)...); !strings.Contains(out, want) {
			t.Errorf("%q is completed with %q (%s)", args, out, errs)
		}
	}
	if code, _, errs := run(t, "conversations", "acme", "--kubeconfig="+kubeconfig, "--api-url=https://127.0.0.1:1"); code != exitFailed {
		t.Errorf("the flag does not win over its variable: %d %s", code, errs)
	}
}
