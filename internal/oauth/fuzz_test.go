package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
)

// FuzzQuery sends any query to each page: without a ticket that was signed here, every one is refused as the sender's mistake, sets nothing,
// calls nobody and repeats nothing of it.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "link=", "link=e30.e30.e30", "code=x&state=e30.e30.e30", "error=access_denied", "state=%zz", "receipt=%00", "state=a&state=b;c",
		"error=%3Cscript%3E&error_description=%3Cimg%20src=x%3E&state=x", "link=" + strings.Repeat("A", 5000),
	} {
		f.Add(seed, "__Host-tiktok-oauth=ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	}
	f.Add("state=x", "__Host-tiktok-oauth=\"; a=b;;=")
	fx := newFixture(f, settings{})
	f.Fuzz(func(t *testing.T, query, cookie string) {
		for path, want := range map[string]oauth.Result{
			"/oauth/start": oauth.ResultLinkInvalid, "/oauth/callback/": oauth.ResultStateInvalid, "/oauth/done": oauth.ResultNotFound,
		} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.URL = &url.URL{Path: path, RawQuery: query}
			r.Header["Cookie"] = []string{cookie}
			w := httptest.NewRecorder()
			fx.oauth.ServeHTTP(w, r)
			if m := resultMeta.FindStringSubmatch(w.Body.String()); len(m) < 2 || oauth.Result(m[1]) != want || w.Code != want.Status() {
				t.Fatalf("%s?%s: %d %v", path, query, w.Code, m)
			}
			if len(w.Header()["Set-Cookie"]) != 0 || w.Header().Get("Location") != "" {
				t.Fatalf("%s?%s: %v", path, query, w.Header())
			}
		}
		if fx.sim.CountCalls("") != 0 {
			t.Fatal("TikTok was called")
		}
	})
}
