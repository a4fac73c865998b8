package simulator_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// envelope posts a body, and takes the answer apart, which must be an envelope. An empty token is none.
func envelope(t *testing.T, sim http.Handler, endpoint, token, body string) (code int, data map[string]any, answer string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/open_api/v1.3/"+endpoint, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Access-Token", token)
	}
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, req)
	var out struct {
		Code      *int           `json:"code"`
		RequestID string         `json:"request_id"`
		Data      map[string]any `json:"data"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Code == nil || out.RequestID == "" || out.Data == nil {
		t.Fatalf("%s: no envelope: %s", endpoint, w.Body)
	}
	return *out.Code, out.Data, w.Body.String()
}

// Whatever the body, the answer is an envelope, a token is never given for one that was not issued, and no state changes.
func FuzzAPIBody(f *testing.F) {
	f.Add(object("client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "refresh_token", "rft.x"))
	f.Add(`{"client_id":null,"a":[1,{"b":true}],"item_list":["x",1]}`)
	f.Add(`{"client_id":"sim-app"`)
	f.Add("[]\x00")
	sim := simulator.New(simulator.Options{})
	f.Cleanup(sim.Close)
	token := sim.IssueToken(business)
	f.Fuzz(func(t *testing.T, body string) {
		for _, endpoint := range []string{tokenEndpoint, refreshEndpoint, revokeEndpoint, infoEndpoint, deleteEndpoint, sendEndpoint, uploadEndpoint, downloadEndpoint} {
			_, data, answer := envelope(t, sim, endpoint, "", body)
			if len(data) != 0 {
				t.Fatalf("%s: data for %q: %s", endpoint, body, answer)
			}
		}
		if !sim.RefreshTokenWorks(token.RefreshToken) {
			t.Fatal("the token of the business is gone")
		}
	})
}

// Whatever a business that is authorized sends, the answer is an envelope, and only what is sent is in the conversation.
func FuzzMessagingBody(f *testing.F) {
	sim := simulator.New(simulator.Options{})
	f.Cleanup(sim.Close)
	token := sim.IssueToken(business)
	for _, rest := range []string{
		textBody("Hello"), textBody(strings.Repeat("x", 6001)), `"message_type":"IMAGE","image":{"media_id":"m1"}`,
		`"message_type":"SHARE_POST","share_post":{"item_id":"7"}`, `"message_type":"TEXT","text":{"body":"x"},"image":{"media_id":"m1"}`,
		`"message_type":"TEMPLATE","template":{"type":"QA_BUTTON_CARD","title":"?","buttons":[{"type":"REPLY","title":"Yes","id":"1"}]}`,
		`"message_type":"SENDER_ACTION","sender_action":"TYPING"`, `"message_type":"TEXT","text":{"body":"x"},"referenced_message_info":{"referenced_message_id":"1"}`,
		`"message_type":7,"text":[]`,
	} {
		f.Add(sendBody("conversation", rest))
	}
	f.Add(`{"business_id":"` + business + `","message_id":"1","conversation_id":"c","media_id":"m","media_type":"IMAGE"}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, endpoint := range []string{sendEndpoint, uploadEndpoint, downloadEndpoint} {
			code, data, answer := envelope(t, sim, endpoint, token.AccessToken, body)
			if code == 0 || len(data) != 0 { // nobody has written to the business, and nothing was uploaded
				t.Fatalf("%s: %q was taken: %s", endpoint, body, answer)
			}
		}
	})
}

// A redirect URI is either refused, or the browser goes there and nowhere else, with the answer added as its query.
func FuzzRedirectURI(f *testing.F) {
	for _, seed := range []string{redirectURI, "http://127.0.0.1:1/", "https://a.example/%2e%2e/", "https://a.example\\@b.example/", "//a.example/", "https://a.example/?/"} {
		f.Add(seed)
	}
	sim := simulator.New(simulator.Options{AutoConsent: true})
	f.Cleanup(sim.Close)
	f.Fuzz(func(t *testing.T, redirect string) {
		q := query("client_key", appID, "response_type", "code", "redirect_uri", redirect, "scope", "user.info.basic", "state", "s")
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/auth/authorize?"+q.Encode(), nil))
		if w.Code == http.StatusBadRequest {
			return
		}
		asked, err := url.Parse(redirect)
		if err != nil || w.Code != http.StatusSeeOther {
			t.Fatalf("HTTP %d for %q", w.Code, redirect)
		}
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil || to.Scheme != asked.Scheme || to.Host != asked.Host || to.Path != asked.Path || to.Fragment != "" || to.User != nil {
			t.Fatalf("%q sends the browser to %q", redirect, w.Header().Get("Location"))
		}
		if got := to.Query(); len(got) != 3 || got.Get("state") != "s" || got.Get("code") == "" {
			t.Fatalf("%q: the query is %v", redirect, got)
		}
		if !strings.HasSuffix(to.Path, "/") || (to.Scheme != "https" && to.Scheme != "http") {
			t.Fatalf("%q is accepted", redirect)
		}
	})
}

// No text but the issued one passes for a token.
func FuzzTokenForgery(f *testing.F) {
	sim := simulator.New(simulator.Options{})
	f.Cleanup(sim.Close)
	token := sim.IssueToken(business)
	refresh, access := token.RefreshToken, token.AccessToken
	f.Add([]byte("x"), 0)
	f.Add([]byte("\n"), 10)
	f.Add([]byte("AAAA"), 40)
	f.Add([]byte("="), len(refresh))
	f.Fuzz(func(t *testing.T, replacement []byte, at int) {
		// A token with a part replaced is the hardest case; random text is the replacement of everything.
		at = max(0, min(at, len(refresh)))
		for _, original := range []string{refresh, access} {
			for _, forged := range []string{
				string(replacement),
				original[:at] + string(replacement),
				original[:at] + string(replacement) + original[min(len(original), at+len(replacement)):],
				original[:4] + base64.RawURLEncoding.EncodeToString(replacement),
			} {
				if sim.RefreshTokenWorks(forged) && forged != refresh || sim.AccessTokenWorks(forged) && forged != access {
					t.Fatalf("%q passes for %q", forged, original)
				}
			}
		}
	})
}
