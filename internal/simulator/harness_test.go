package simulator_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const (
	appID       = "sim-app"
	appSecret   = "sim-secret"
	redirectURI = "https://hooks.example/oauth/callback/"
	business    = "biz-0001"

	tokenEndpoint   = "tt_user/oauth2/token/"
	refreshEndpoint = "tt_user/oauth2/refresh_token/"
	revokeEndpoint  = "tt_user/oauth2/revoke/"
	infoEndpoint    = "tt_user/token_info/get/"
	getEndpoint     = "business/get/"
	listEndpoint    = "business/webhook/list/"
	updateEndpoint  = "business/webhook/update/"
	deleteEndpoint  = "business/webhook/delete/"

	conversationsEndpoint = "business/message/conversation/list/"
	contentEndpoint       = "business/message/content/list/"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bench is a simulator behind real HTTP, with time in the test's hands.
type bench struct {
	*testing.T
	sim   *simulator.Simulator
	url   string
	clock *clocktesting.FakeClock
	// secret of the app, where it was changed.
	secret string
}

func newBench(t *testing.T, change ...func(*simulator.Options)) *bench {
	t.Helper()
	b := &bench{T: t, clock: clocktesting.NewFakeClock(begin)}
	opts := simulator.Options{Clock: b.clock}
	for _, f := range change {
		f(&opts)
	}
	b.sim = simulator.New(opts)
	server := httptest.NewServer(b.sim)
	b.url = server.URL
	t.Cleanup(func() { b.sim.Close(); server.Close() })
	return b
}

// reply is an answer of the API.
type reply struct {
	status    int
	header    http.Header
	raw       string
	Code      int            `json:"code"`
	Message   string         `json:"message"`
	RequestID string         `json:"request_id"`
	Data      map[string]any `json:"data"`
}

func (r reply) text(name string) string {
	s, _ := r.Data[name].(string)
	return s
}

func (b *bench) do(req *http.Request) reply {
	b.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatalf("reading the answer of %s: %v", req.URL.Path, err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r)
	return r
}

func (b *bench) request(method, target, contentType, body string) *http.Request {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// post calls the API with a JSON body made of name, value, name, value…
func (b *bench) post(endpoint string, pairs ...string) reply {
	b.Helper()
	return b.do(b.request(http.MethodPost, b.url+"/open_api/v1.3/"+endpoint, "application/json", object(pairs...)))
}

// get calls the API with a query.
func (b *bench) get(endpoint, accessToken string, pairs ...string) reply {
	b.Helper()
	req := b.request(http.MethodGet, b.url+"/open_api/v1.3/"+endpoint+"?"+query(pairs...).Encode(), "", "")
	if accessToken != "" {
		req.Header.Set("Access-Token", accessToken)
	}
	return b.do(req)
}

func (b *bench) refresh(token string) reply {
	b.Helper()
	return b.post(refreshEndpoint, "client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "refresh_token", token)
}

func (b *bench) exchange(code string) reply {
	b.Helper()
	return b.post(tokenEndpoint, "client_id", appID, "client_secret", appSecret, "grant_type", "authorization_code", "auth_code", code,
		"redirect_uri", redirectURI)
}

func (b *bench) register(eventType, callback string) {
	b.Helper()
	r := b.post(updateEndpoint, "app_id", appID, "secret", cmp.Or(b.secret, appSecret), "event_type", eventType,
		"callback_url", callback)
	b.want(r, 0)
}

func (b *bench) want(r reply, code int) {
	b.Helper()
	if r.status != http.StatusOK || r.Code != code {
		b.Fatalf("HTTP %d code %d %q, want code %d", r.status, r.Code, r.Message, code)
	}
	if r.RequestID == "" || r.header.Get("X-Tt-Logid") == "" || r.Data == nil {
		b.Fatalf("the envelope lacks its request_id, its data or the header X-Tt-Logid: %s", r.raw)
	}
}

// admin calls the admin API; body may be "".
func (b *bench) admin(method, path, body string) (int, map[string]any) {
	b.Helper()
	r := b.do(b.request(method, b.url+"/admin/"+path, "", body))
	var out map[string]any
	if err := json.Unmarshal([]byte(r.raw), &out); err != nil {
		b.Fatalf("%s /admin/%s answers %d and no JSON object: %s", method, path, r.status, r.raw)
	}
	return r.status, out
}

// done is an admin call that must succeed.
func (b *bench) done(method, path, body string) map[string]any {
	b.Helper()
	status, out := b.admin(method, path, body)
	if status != http.StatusOK {
		b.Fatalf("%s /admin/%s answers %d: %v", method, path, status, out)
	}
	return out
}

// authorizeURL is the address of the consent page; pairs replace parameters, "" removes one.
func (b *bench) authorizeURL(pairs ...string) string {
	q := query("client_key", appID, "response_type", "code", "redirect_uri", redirectURI,
		"scope", "user.info.basic,message.list.read", "state", "st/a+te")
	for name, values := range query(pairs...) {
		if q[name] = values; values[0] == "" {
			q.Del(name)
		}
	}
	return b.url + "/v2/auth/authorize?" + q.Encode()
}

// back opens an authorize address and returns the query that the app gets back.
func (b *bench) back(target string) url.Values {
	b.Helper()
	return b.returned(b.do(b.request(http.MethodGet, target, "", "")))
}

func (b *bench) returned(r reply) url.Values {
	b.Helper()
	location, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.status != http.StatusSeeOther || !strings.HasPrefix(location.String(), redirectURI+"?") {
		b.Fatalf("HTTP %d to %q, want a redirect to the app: %s", r.status, r.header.Get("Location"), r.raw)
	}
	if got := location.Query().Get("state"); got != "st/a+te" {
		b.Fatalf("state %q came back", got)
	}
	return location.Query()
}

// eventually polls until ok is true.
func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within a minute", what)
		}
	}
}

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func object(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	var out bytes.Buffer
	_ = json.NewEncoder(&out).Encode(m)
	return out.String()
}

func auto(o *simulator.Options) { o.AutoConsent = true }
