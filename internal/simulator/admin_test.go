package simulator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestAdminFaults(t *testing.T) {
	b := newBench(t)
	b.done("POST", "faults", `{"endpoint":"tt_user/oauth2/refresh_token/","times":2,"code":50000,"message":"Sorry.","status":502,"latency":"0s"}`)
	b.done("POST", "faults", `{"endpoint":"*","latency":"1.5s"}`)
	if r := b.refresh("x"); r.status != 502 || r.Code != 50000 || r.Message != "Sorry." {
		t.Errorf("HTTP %d: %s", r.status, r.raw)
	}
	list, _ := b.done("GET", "faults", "")["faults"].([]any)
	if len(list) != 2 {
		t.Fatalf("faults %v", list)
	}
	first, _ := list[0].(map[string]any)
	second, _ := list[1].(map[string]any)
	if first["times"] != 1.0 || second["times"] != 0.0 || second["latency"] != "1.5s" {
		t.Errorf("faults %v", list)
	}
	b.done("DELETE", "faults", "")
	if len(b.sim.Faults()) != 0 {
		t.Error("faults are left")
	}
}

func TestAdminRefusals(t *testing.T) {
	b := newBench(t)
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "faults", ``, 400, "empty"},
		{"POST", "faults", `[]`, 400, "must be a JSON object"},
		{"POST", "faults", `{`, 400, "not valid JSON"},
		{"POST", "faults", `{]`, 400, "not valid JSON"},
		{"POST", "faults", `{"endpoint":"*","code":1}{}`, 400, "follows"},
		{"POST", "faults", `{"endpoint":"*","kode":1}`, 400, `"kode" is not known`},
		{"POST", "faults", `{"endpoint":"*","times":"3"}`, 400, `"times" has the wrong type: it must be a number`},
		{"POST", "faults", `{"endpoint":"*","latency":2}`, 400, "duration"},
		{"POST", "faults", `{"endpoint":"*","latency":"soon"}`, 400, "duration"},
		{"POST", "faults", `{"endpoint":"*"}`, 400, "Nothing is to go wrong"},
		{"POST", "faults", `{"endpoint":"refresh","code":1}`, 400, "tt_user/oauth2/refresh_token/"},
		{"POST", "faults", `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "larger"},
		{"PUT", "faults", `{}`, 405, "does not answer PUT"},
		{"GET", "calls?endpoint=refresh", ``, 400, "not known"},
		{"GET", "calls/count?endpoint=refresh", ``, 400, "not known"},
		{"GET", "calls?limit=x", ``, 400, "limit"},
		{"POST", "businesses", `{"username":"x"}`, 400, "openID is required"},
		{"POST", "businesses", `{"openID":"x","grantScopes":["A B"]}`, 400, "grantScopes"},
		{"POST", "consent", `{"mode":"never"}`, 400, "auto or page"},
		{"POST", "consent", `{"mode":"page","error":"access_denied"}`, 400, "one of them"},
		{"POST", "consent", `{"error":"a b"}`, 400, "access_denied"},
		{"POST", "consent", `{"business":"x"}`, 404, "no business"},
		{"POST", "tokens", `{"business":"x"}`, 404, "no business"},
		{"POST", "tokens", `{"scopes":["x","x"]}`, 400, "twice"},
		{"POST", "tokens/revoke", `{}`, 400, "business is required"},
		{"POST", "tokens/revoke", `{"business":"x"}`, 404, "no business"},
		{"PUT", "app", `{"secret":""}`, 400, "empty"},
		{"PUT", "app", `{"approvedScopes":["x","x"]}`, 400, "twice"},
		{"PUT", "webhook", `{"eventType":"LIVE"}`, 400, "eventType must be one of"},
		{"PUT", "webhook", `{"eventType":"VIDEO","callbackURL":"http://a.example/"}`, 400, "callbackURL"},
		{"POST", "events", `{"event":"im_referral_msg"}`, 400, "content is required"},
		{"POST", "events", `{"business":"x"}`, 404, "no business"},
		{"POST", "events", `{"count":-1}`, 400, "count"},
		{"POST", "events", `{"count":10001}`, 400, "count"},
		{"POST", "events", `{}`, 409, "no webhook"},
		{"POST", "events", `{"count":2}`, 409, "no webhook"},
		{"GET", "nothing", ``, 404, "no such path"},
	} {
		status, out := b.admin(tc.method, tc.path, tc.body)
		text, _ := out["error"].(string)
		if status != tc.status || !strings.Contains(strings.ToLower(text), strings.ToLower(tc.says)) || !strings.HasSuffix(text, ".") {
			t.Errorf("%s %s %.60s: HTTP %d %q, want %d %q", tc.method, tc.path, tc.body, status, text, tc.status, tc.says)
		}
	}
	if n := len(b.sim.Faults()); n != 0 {
		t.Errorf("%d refused faults were injected", n)
	}
}

func TestAdminBusinessesTokensAndConsent(t *testing.T) {
	b := newBench(t)
	out := b.done("POST", "businesses", `{"openID":"-b2","username":"second"}`)
	if out["displayName"] != "second" {
		t.Errorf("business %v", out)
	}
	list, _ := b.done("GET", "businesses", "")["businesses"].([]any)
	if len(list) != 2 {
		t.Errorf("businesses %v", list)
	}
	token := b.done("POST", "tokens", `{"business":"-b2","scopes":["user.info.basic"]}`)
	refresh, _ := token["refresh_token"].(string)
	if token["open_id"] != "-b2" || token["scope"] != "user.info.basic" || !b.sim.RefreshTokenWorks(refresh) {
		t.Errorf("token %v", token)
	}
	b.done("POST", "tokens/revoke", `{"business":"-b2"}`)
	b.want(b.refresh(refresh), 40105)
	b.done("POST", "consent", `{"mode":"auto","business":"-b2","denyScopes":["message.list.read"],"once":true}`)
	if out := b.done("GET", "consent", ""); out["business"] != "-b2" {
		t.Errorf("consent %v", out)
	}
	r := b.exchange(b.back(b.authorizeURL()).Get("code"))
	if r.text("open_id") != "-b2" || r.text("scope") != "user.info.basic" {
		t.Errorf("data %v", r.Data)
	}
	b.form(b.authorizeURL())
}

func TestAdminAppWebhookAndCalls(t *testing.T) {
	b := newBench(t)
	b.done("PUT", "app", `{"secret":"second","approvedScopes":["user.info.basic"],"enabled":false}`)
	b.want(b.refresh("x"), 40101)
	state := b.done("GET", "state", "")
	if state["enabled"] != false || state["appID"] != appID || state["businesses"] != 1.0 {
		t.Errorf("state %v", state)
	}
	b.done("PUT", "app", `{"enabled":true}`)
	b.want(b.refresh("x"), 40101) // the secret stays rotated
	b.done("PUT", "app", `{"secret":"sim-secret","approvedScopes":[]}`)
	b.want(b.refresh("x"), 40105)
	b.done("PUT", "webhook", `{"eventType":"VIDEO","callbackURL":"https://other.example/"}`)
	if b.sim.Webhook("VIDEO") != "https://other.example/" {
		t.Error("the webhook is not set")
	}
	b.done("PUT", "webhook", `{"eventType":"VIDEO","callbackURL":""}`)
	if b.sim.Webhook("VIDEO") != "" {
		t.Error("the webhook is not removed")
	}
	if n := b.done("GET", "calls/count?endpoint="+refreshEndpoint, "")["count"]; n != 3.0 {
		t.Errorf("%v calls", n)
	}
	calls, _ := b.done("GET", "calls?limit=2&endpoint="+refreshEndpoint, "")["calls"].([]any)
	last, _ := calls[len(calls)-1].(map[string]any)
	if len(calls) != 2 || last["code"] != 40105.0 {
		t.Errorf("calls %v", calls)
	}
	b.done("DELETE", "calls", "")
	if b.sim.CountCalls("") != 0 {
		t.Error("calls are left")
	}
}

func TestAdminEvents(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	out := b.done("POST", "events", `{"user":"alice","text":"hi","wait":true}`)
	if out["status"] != 200.0 || out["attempts"] != 1.0 || out["messageID"] == "" || out["conversationID"] == "" {
		t.Errorf("delivery %v", out)
	}
	burst, _ := b.done("POST", "events", `{"count":5,"text":"burst"}`)["deliveries"].([]any)
	ids := map[any]bool{}
	for _, d := range burst {
		d, _ := d.(map[string]any)
		ids[d["messageID"]] = true
	}
	if len(burst) != 5 || len(ids) != 5 {
		t.Errorf("burst %v: want five messages", burst)
	}
	b.done("POST", "events", `{"count":3,"messageID":"same"}`)
	got := rcv.all()
	if len(got) != 9 || got[6].body != got[7].body || got[7].body != got[8].body {
		t.Error("three deliveries of one message are not alike")
	}
	b.done("POST", "events", `{"count":4,"wait":false}`)
	b.done("POST", "events", `{"wait":false,"signature":"wrong"}`)
	b.eventually("all are delivered", func() bool { return len(b.sim.Deliveries()) == 14 })
	list, _ := b.done("GET", "deliveries", "")["deliveries"].([]any)
	if len(list) != 14 {
		t.Errorf("%d deliveries are listed", len(list))
	}
}

// The Go API and the admin API start from the same defaults.
func TestDefaults(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	defer sim.Close()
	token := sim.IssueToken("anyone")
	if len(token.Scopes) != 9 || token.ExpiresIn.Hours() != 24 || token.RefreshTokenExpiresIn.Hours() != 8760 || token.OpenID != "anyone" {
		t.Errorf("token %v %v %v", token.Scopes, token.ExpiresIn, token.RefreshTokenExpiresIn)
	}
	var _ http.Handler = sim
}
