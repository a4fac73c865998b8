package simulator_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestAuthorizeRefusesWithAPage(t *testing.T) {
	b := newBench(t, auto)
	long := "https://hooks.example/" + strings.Repeat("x", 500) + "/"
	for name, tc := range map[string]struct{ param, value, says string }{
		"no app":            {"client_key", "", "client_key is missing"},
		"unknown app":       {"client_key", "other", "client_key"},
		"no response type":  {"response_type", "", "response_type is missing"},
		"implicit grant":    {"response_type", "token", "response_type must be code"},
		"no state":          {"state", "", "state is missing"},
		"no scope":          {"scope", "", "scope is missing"},
		"spaces":            {"scope", "user.info.basic message.list.read", "joined by commas"},
		"space after comma": {"scope", "user.info.basic, message.list.read", "joined by commas"},
		"empty scope":       {"scope", "user.info.basic,", "scope"},
		"scope twice":       {"scope", "user.info.basic,user.info.basic", "twice"},
		"auto auth":         {"disable_auto_auth", "yes", "disable_auto_auth must be 0 or 1"},
		"no redirect":       {"redirect_uri", "", "redirect_uri is missing"},
		"relative":          {"redirect_uri", "/oauth/callback/", "absolute"},
		"opaque":            {"redirect_uri", "https:hooks.example/", "absolute"},
		"no host":           {"redirect_uri", "https:///callback/", "absolute"},
		"http":              {"redirect_uri", "http://hooks.example/callback/", "https"},
		"script":            {"redirect_uri", "javascript://hooks.example/callback/", "https"},
		"query":             {"redirect_uri", redirectURI + "?a=b", "query"},
		"empty query":       {"redirect_uri", redirectURI + "?", "query"},
		"fragment":          {"redirect_uri", redirectURI + "#a", "fragment"},
		"port":              {"redirect_uri", "https://hooks.example:8443/callback/", "port"},
		"empty port":        {"redirect_uri", "https://hooks.example:/callback/", "port"},
		"user":              {"redirect_uri", "https://a:b@hooks.example/callback/", "user name"},
		"no final slash":    {"redirect_uri", "https://hooks.example/callback", "end in a slash"},
		"too long":          {"redirect_uri", long, "512"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, url: b.url}
			r := b.do(b.request(http.MethodGet, b.authorizeURL(tc.param, tc.value), "", ""))
			if r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
				t.Fatalf("HTTP %d, Location %q; want a page with 400", r.status, r.header.Get("Location"))
			}
			if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(html.UnescapeString(r.raw), tc.says) {
				t.Errorf("the page does not say %q: %s", tc.says, r.raw)
			}
		})
	}
	r := b.do(b.request(http.MethodGet, b.authorizeURL()+"&state=other", "", ""))
	if r.status != http.StatusBadRequest || !strings.Contains(r.raw, "more than once") {
		t.Errorf("state given twice: HTTP %d", r.status)
	}
	r = b.do(b.request(http.MethodHead, b.authorizeURL(), "", ""))
	if r.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD answers %d: a link preview must not authorize", r.status)
	}
	if b.back(b.authorizeURL("rid", "portal", "disable_auto_auth", "1")).Get("code") == "" {
		t.Error("a parameter that portals add is not left alone")
	}
}

func TestLoopbackRedirects(t *testing.T) {
	b := newBench(t, auto)
	for _, redirect := range []string{"http://127.0.0.1:8080/cb/", "http://localhost/cb/", "http://[::1]:9/cb/", "https://127.0.0.1:1/cb/"} {
		r := b.do(b.request(http.MethodGet, b.authorizeURL("redirect_uri", redirect), "", ""))
		if r.status != http.StatusSeeOther || !strings.HasPrefix(r.header.Get("Location"), redirect+"?") {
			t.Errorf("%s: HTTP %d to %q", redirect, r.status, r.header.Get("Location"))
		}
	}
}

func TestUnapprovedScopesRefuseTheWholeAuthorization(t *testing.T) {
	b := newBench(t, auto)
	b.sim.SetApprovedScopes("user.info.basic")
	answer := b.back(b.authorizeURL())
	if answer.Get("error") != "invalid_scope" || answer.Has("code") || !strings.Contains(answer.Get("error_description"), "message.list.read") {
		t.Errorf("answer %v, want invalid_scope that names message.list.read", answer)
	}
	if b.back(b.authorizeURL("scope", "user.info.basic")).Get("code") == "" {
		t.Error("an approved scope is refused")
	}
	b.sim.SetApprovedScopes()
	if b.back(b.authorizeURL()).Get("code") == "" {
		t.Error("no approved scopes must mean all")
	}
}

var actionPattern = regexp.MustCompile(`<form method="post" action="([^"]+)"`)

// form opens the consent page and returns where its form goes.
func (b *bench) form(target string) (page, action string) {
	b.Helper()
	r := b.do(b.request(http.MethodGet, target, "", ""))
	m := actionPattern.FindStringSubmatch(r.raw)
	if r.status != http.StatusOK || m == nil {
		b.Fatalf("HTTP %d and no form: %s", r.status, r.raw)
	}
	return r.raw, b.url + html.UnescapeString(m[1])
}

func (b *bench) submit(action string, form url.Values) reply {
	b.Helper()
	return b.do(b.request(http.MethodPost, action, "application/x-www-form-urlencoded", form.Encode()))
}

func TestConsentPage(t *testing.T) {
	b := newBench(t)
	b.sim.AddBusiness(simulator.Business{OpenID: "-b2", Username: "<bold>", DisplayName: "Second & Co"})
	page, action := b.form(b.authorizeURL())
	for _, want := range []string{
		`<html lang="en">`, `<legend>Business account</legend>`, `<legend>Permissions</legend>`, "Acme Store (@acme)", "Second &amp; Co (@&lt;bold&gt;)",
		`value="biz-0001" checked`, `value="user.info.basic" checked`, `value="message.list.read" checked`, "hooks.example",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http://") || strings.Contains(page, "src=") {
		t.Error("the page needs something from elsewhere")
	}
	answer := b.returned(b.submit(action, url.Values{"business": {"-b2"}, "scope": {"message.list.read", "not.asked.for"}, "answer": {"allow"}}))
	if answer.Get("scopes") != "message.list.read" {
		t.Errorf("scopes %q, want those that are ticked and asked for", answer.Get("scopes"))
	}
	r := b.exchange(answer.Get("code"))
	b.want(r, 0)
	if r.text("open_id") != "-b2" || r.text("scope") != "message.list.read" {
		t.Errorf("data %v", r.Data)
	}
	answer = b.returned(b.submit(action, url.Values{"answer": {"deny"}}))
	if answer.Get("error") != "access_denied" || answer.Get("error_description") == "" || answer.Has("code") {
		t.Errorf("denied: %v", answer)
	}
	for name, tc := range map[string]struct {
		form url.Values
		says string
	}{
		"nothing ticked":   {url.Values{"business": {business}, "answer": {"allow"}}, "Tick at least one"},
		"unknown business": {url.Values{"business": {"x"}, "scope": {"user.info.basic"}, "answer": {"allow"}}, "no such business"},
		"no answer":        {url.Values{"business": {business}, "scope": {"user.info.basic"}}, "no answer"},
	} {
		if r := b.submit(action, tc.form); r.status != http.StatusBadRequest || !strings.Contains(r.raw, tc.says) {
			t.Errorf("%s: HTTP %d: %s", name, r.status, r.raw)
		}
	}
	// What was chosen is kept on the page that asks again.
	r = b.submit(action, url.Values{"business": {"-b2"}, "answer": {"allow"}})
	if !strings.Contains(r.raw, `value="-b2" checked`) || strings.Contains(r.raw, `value="user.info.basic" checked`) {
		t.Error("the page forgets what was chosen")
	}
}

func TestConsentPageOfManyBusinesses(t *testing.T) {
	b := newBench(t)
	for i := range 10_000 {
		b.sim.AddBusiness(simulator.Business{OpenID: fmt.Sprintf("many-%d", i)})
	}
	page, action := b.form(b.authorizeURL())
	if n := strings.Count(page, `type="radio"`); n != 20 || !strings.Contains(page, `name="other"`) {
		t.Errorf("%d businesses to choose from, want 20 and a field for the others", n)
	}
	answer := b.returned(b.submit(action, url.Values{"business": {business}, "other": {" many-9999 "}, "scope": {"user.info.basic"}, "answer": {"allow"}}))
	r := b.exchange(answer.Get("code"))
	if r.text("open_id") != "many-9999" {
		t.Errorf("data %v, want the business that was typed", r.Data)
	}
}

func TestSetConsent(t *testing.T) {
	b := newBench(t)
	b.sim.AddBusiness(simulator.Business{OpenID: "biz-2"})
	b.sim.SetConsent(simulator.Consent{Mode: "auto", Business: "biz-2", DenyScopes: []string{"message.list.read"}})
	b.sim.SetConsent(simulator.Consent{Error: "access_denied", Once: true})
	if answer := b.back(b.authorizeURL()); answer.Get("error") != "access_denied" {
		t.Errorf("answer %v, want access_denied", answer)
	}
	for range 2 { // what stood before holds again, and stays
		r := b.exchange(b.back(b.authorizeURL()).Get("code"))
		if r.text("open_id") != "biz-2" || r.text("scope") != "user.info.basic" {
			t.Errorf("data %v, want biz-2 with user.info.basic", r.Data)
		}
	}
	b.sim.SetConsent(simulator.Consent{Mode: "auto", DenyScopes: []string{"message.list.read", "user.info.basic"}})
	if answer := b.back(b.authorizeURL()); answer.Get("error") != "access_denied" {
		t.Errorf("every scope denied: %v", answer)
	}
	b.sim.SetConsent(simulator.Consent{Mode: "page", Business: "biz-2", DenyScopes: []string{"message.list.read"}})
	page, _ := b.form(b.authorizeURL())
	if !strings.Contains(page, `value="biz-2" checked`) || strings.Contains(page, `value="message.list.read" checked`) {
		t.Error("the page does not propose what was set")
	}
	b.sim.SetConsent(simulator.Consent{})
	b.form(b.authorizeURL()) // a page, as at the start
	defer func() {
		if recover() == nil {
			t.Error("an unknown mode is accepted")
		}
	}()
	b.sim.SetConsent(simulator.Consent{Mode: "never"})
}

func TestOnceIsForOneOfMany(t *testing.T) {
	b := newBench(t, auto)
	b.sim.SetConsent(simulator.Consent{Error: "server_error", Once: true})
	answers := make(chan string)
	for range 8 {
		go func() {
			r := b.do(b.request(http.MethodGet, b.authorizeURL(), "", ""))
			u, _ := url.Parse(r.header.Get("Location"))
			answers <- u.Query().Get("error")
		}()
	}
	var got []string
	for range 8 {
		got = append(got, <-answers)
	}
	slices.Sort(got)
	if got[6] != "" || got[7] != "server_error" {
		t.Errorf("errors %q, want exactly one", got)
	}
}

func TestGrantScopes(t *testing.T) {
	b := newBench(t, auto)
	b.sim.AddBusiness(simulator.Business{OpenID: business, Username: "acme", GrantScopes: []string{"message.list.read", "message.list.send"}})
	if got := b.back(b.authorizeURL()).Get("scopes"); got != "message.list.read" {
		t.Errorf("scopes %q, want those that the business grants", got)
	}
	if answer := b.back(b.authorizeURL("scope", "user.info.basic")); answer.Get("error") != "access_denied" {
		t.Errorf("nothing granted: %v", answer)
	}
}

func TestIndex(t *testing.T) {
	b := newBench(t)
	if r := b.do(b.request(http.MethodGet, b.url+"/", "", "")); r.status != http.StatusOK || !strings.Contains(r.raw, "docs/reference/simulator.md") {
		t.Errorf("HTTP %d: %s", r.status, r.raw)
	}
	if r := b.do(b.request(http.MethodGet, b.url+"/nothing", "", "")); r.status != http.StatusNotFound {
		t.Errorf("an unknown path answers %d", r.status)
	}
}
