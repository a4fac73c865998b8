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
			req := httptest.NewRequest(http.MethodPost, "/open_api/v1.3/"+endpoint, strings.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
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
			if len(out.Data) != 0 {
				t.Fatalf("%s: data for %q: %s", endpoint, body, w.Body)
			}
		}
		if !sim.RefreshTokenWorks(token.RefreshToken) {
			t.Fatal("the token of the business is gone")
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
