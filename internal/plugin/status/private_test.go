package status

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/plugintest"
)

func TestWindowsAreCountedAndMissingRolesAreTold(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const sinksPath, conversationsPath = "/v1/namespaces/shop/channels/acme/sinks", "/v1/namespaces/shop/channels/acme/conversations"
	const windowsOpen = `{"items":[{"window":{"known":true,"open":true,"until":"2026-01-02T09:04:05Z"}},{"window":{"known":true,"open":false}},
		{"window":{"known":true,"open":true,"until":"2026-01-02T08:04:05Z"}},{"window":{"known":false,"open":false}},
		{"window":{"known":true,"open":true}}],"continue":"more"}`
	for name, tt := range map[string]struct {
		answers  map[string]string
		status   int // of what is not answered
		new      bool
		line     string
		problems []string
		calls    int
	}{
		"all": {
			answers: map[string]string{sinksPath: `{"items":[{"name":"crm","pending":3}]}`, conversationsPath: windowsOpen},
			line:    "Open windows: 3 of the newest 5 conversations, of 1 it is unknown, the next closes in 5h", calls: 2,
		},
		"nobody has written": {
			answers: map[string]string{sinksPath: `{"items":[{"name":"crm","pending":3}]}`, conversationsPath: `{"items":[]}`},
			line:    "Open windows: 0 of 0 conversations CONDITION", calls: 2,
		},
		"never authorized": {answers: map[string]string{sinksPath: `{"items":[{"name":"crm","pending":3}]}`}, new: true, calls: 1},
		"the role for windows alone": {
			answers: map[string]string{conversationsPath: windowsOpen}, status: http.StatusForbidden,
			line: "Open windows: 3 of", problems: []string{"What waits for the sinks cannot be read: the private API answers 403"}, calls: 2,
		},
		"the role for sinks alone": {
			answers: map[string]string{sinksPath: `{"items":[{"name":"crm","pending":3}]}`}, status: http.StatusForbidden,
			problems: []string{"Which windows are open cannot be read: the private API answers 403"}, calls: 2,
		},
		"a token for another audience": {status: http.StatusUnauthorized, problems: []string{"Add --as-service-account NAME to see what waits"}, calls: 1},
	} {
		calls := 0
		cluster := plugintest.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			if r.URL.Path == conversationsPath && r.URL.Query().Get("limit") != "100" {
				t.Errorf("%s: it asks for %s", name, r.URL)
			}
			if answer, ok := tt.answers[r.URL.Path]; ok {
				_, _ = fmt.Fprint(w, answer)
				return
			}
			w.WriteHeader(tt.status)
		}))
		ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme"}}
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "crm"}}
		if !tt.new {
			ch.Status.BusinessID = "biz-0001"
		}
		about := extras{now: now}
		about.ask(t.Context(), cluster.Gateway(), ch)
		var out strings.Builder
		if err := screen(&out, ch, about); err != nil {
			t.Fatal(err)
		}
		shown := strings.Join(strings.Fields(out.String()), " ")
		if has := strings.Contains(shown, "Open windows:"); has != (tt.line != "") || !strings.Contains(shown, tt.line) {
			t.Errorf("%s: the screen lacks %q:\n%s", name, tt.line, shown)
		}
		if calls != tt.calls || len(cluster.Forwards()) != 1 || len(about.problems) != len(tt.problems) {
			t.Errorf("%s: there were %d calls through %v; problems are %q", name, calls, cluster.Forwards(), about.problems)
			continue
		}
		for i, want := range tt.problems {
			if !strings.HasPrefix(about.problems[i], want) {
				t.Errorf("%s: the problem is %q, want %q", name, about.problems[i], want)
			}
		}
	}
}
