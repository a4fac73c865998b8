package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// The consent page leads to the app, which may lead elsewhere: the page's policy must not hold the browser back.
func TestConsent(t *testing.T) {
	s, p := newStage(t), openTab(t)
	var answered url.Values
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><title>Thanks</title><link rel="icon" href="data:,"><p>Thank you.</p></html>`))
	}))
	t.Cleanup(there.Close)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered = r.URL.Query()
		http.Redirect(w, r, there.URL, http.StatusSeeOther)
	}))
	t.Cleanup(app.Close)
	p.open(s.url + "/v2/auth/authorize?" + url.Values{
		"client_key": {"sim-app"}, "response_type": {"code"}, "redirect_uri": {app.URL + "/back/"}, "scope": {"user.info.basic"}, "state": {"a+b/c"},
	}.Encode())
	p.find("radio", "Acme Store (@acme) open_id biz-0001")
	p.find("checkbox", "user.info.basic")
	p.wants(p.press("button", "Allow"))
	if got := p.text("p"); got != "Thank you." {
		t.Errorf("the browser is at %q", got)
	}
	if answered.Get("code") == "" || answered.Get("state") != "a+b/c" || answered.Get("scopes") != "user.info.basic" {
		t.Errorf("the app was told %v", answered)
	}
	p.only(s.host, strings.TrimPrefix(app.URL, "http://"), strings.TrimPrefix(there.URL, "http://"))
}
