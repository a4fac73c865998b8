package tiktok_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestAuthorizeURL(t *testing.T) {
	request := tiktok.AuthorizeRequest{
		RedirectURI: "https://op.example.com/oauth/callback/", State: "st+a/te=", Scopes: []string{"user.info.basic", "message.list.read"},
	}
	plain := url.Values{
		"client_key": {appID}, "response_type": {"code"}, "redirect_uri": {request.RedirectURI}, "state": {request.State},
		"scope": {"user.info.basic,message.list.read"},
	}
	with := func(changes ...string) url.Values {
		q := url.Values{}
		for name, values := range plain {
			q[name] = values
		}
		for i := 0; i < len(changes); i += 2 {
			q[changes[i]] = strings.Split(changes[i+1], "|")
		}
		return q
	}
	tests := map[string]struct {
		endpoint string
		change   func(*tiktok.AuthorizeRequest)
		base     string
		want     url.Values
	}{
		"TikTok's own":            {"", nil, tiktok.DefaultAuthorizeEndpoint, plain},
		"the simulator's":         {"http://127.0.0.1:9400/v2/auth/authorize/", nil, "http://127.0.0.1:9400/v2/auth/authorize/", plain},
		"consent is shown again":  {"", func(r *tiktok.AuthorizeRequest) { r.ForceConsent = true }, tiktok.DefaultAuthorizeEndpoint, with("disable_auto_auth", "1")},
		"although the portal's…":  {"https://x.example/a?disable_auto_auth=0", func(r *tiktok.AuthorizeRequest) { r.ForceConsent = true }, "https://x.example/a", with("disable_auto_auth", "1")},
		"a portal's parameters":   {"https://x.example/a?client_key=other&rid=a%2Bb&rid=c", nil, "https://x.example/a", with("client_key", "other", "rid", "a+b|c")},
		"a portal's scopes":       {"https://x.example/a?scope=x,y", func(r *tiktok.AuthorizeRequest) { r.Scopes = nil }, "https://x.example/a", with("scope", "x,y")},
		"a portal's empty scopes": {"https://x.example/a?scope=&state=", nil, "https://x.example/a", plain},
		"a portal's state":        {"https://x.example/a?state=theirs&state=twice", nil, "https://x.example/a", plain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := request
			if tt.change != nil {
				tt.change(&r)
			}
			got, err := newClient(t, "", func(c *tiktok.Config) { c.AuthorizeEndpoint = tt.endpoint }).AuthorizeURL(r)
			if err != nil {
				t.Fatal(err)
			}
			base, rawQuery, _ := strings.Cut(got, "?")
			q, err := url.ParseQuery(rawQuery)
			if err != nil || base != tt.base || !reflect.DeepEqual(q, tt.want) {
				t.Errorf("got %s (%v), want %s with %v", got, err, tt.base, tt.want)
			}
			if strings.Contains(got, appSecret.Reveal()) || strings.Contains(got, url.QueryEscape(appSecret.Reveal())) {
				t.Errorf("%s holds the app secret", got)
			}
		})
	}
	for name, change := range map[string]func(*tiktok.AuthorizeRequest){
		"no state":                    func(r *tiktok.AuthorizeRequest) { r.State = "" },
		"no redirect URI":             func(r *tiktok.AuthorizeRequest) { r.RedirectURI = "" },
		"a relative redirect URI":     func(r *tiktok.AuthorizeRequest) { r.RedirectURI = "/oauth/callback/" },
		"a redirect URI of a script":  func(r *tiktok.AuthorizeRequest) { r.RedirectURI = "javascript:alert(1)" },
		"a redirect URI with a place": func(r *tiktok.AuthorizeRequest) { r.RedirectURI += "#" },
		"no scopes":                   func(r *tiktok.AuthorizeRequest) { r.Scopes = nil },
		"an empty scope":              func(r *tiktok.AuthorizeRequest) { r.Scopes = []string{"a", ""} },
		"two scopes in one":           func(r *tiktok.AuthorizeRequest) { r.Scopes = []string{"a,b"} },
		"a scope with a space":        func(r *tiktok.AuthorizeRequest) { r.Scopes = []string{"a b"} },
	} {
		r := request
		change(&r)
		if got, err := newClient(t, "").AuthorizeURL(r); err == nil {
			t.Errorf("%s makes %s", name, got)
		}
	}
}

// FuzzAuthorizeURL: what was asked for comes out as it went in, and nothing that the endpoint's query holds is lost.
func FuzzAuthorizeURL(f *testing.F) {
	f.Add("disable_auto_auth=1", "https://op.example.com/oauth/callback/", "eyJhbGciOiJIUzI1NiJ9.eyJuIjoxfQ.c2ln", "user.info.basic,message.list.read", true)
	f.Add("redirect_uri=https%3A%2F%2Felsewhere.example%2F&scope=all&response_type=token", "https://op.example.com/oauth/callback/", "s", "a.b", false)
	f.Add("", "https://op.example.com/oauth/callback/", "state", "user.info.basic", false)
	f.Add("client_key=other&rid=a%2Bb&state=x", "https://op.example.com/", "a&b=c#d", "x.y", true)
	f.Add("a;b", "https://[::1]:80/?q=1&r=%20", "\x00é", "s", false)
	f.Add("%zz", "http://x/%zz", "?", "a,b", true)
	f.Fuzz(func(t *testing.T, query, redirectURI, state, scope string, force bool) {
		client, err := tiktok.NewClient(tiktok.Config{
			AppID: appID, AppSecret: appSecret, AuthorizeEndpoint: "https://x.example/authorize?" + query,
		})
		if err != nil {
			return
		}
		request := tiktok.AuthorizeRequest{RedirectURI: redirectURI, State: state, Scopes: []string{scope}, ForceConsent: force}
		got, err := client.AuthorizeURL(request)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Host != "x.example" || u.Path != "/authorize" || u.Fragment != "" {
			t.Fatalf("%q leads elsewhere (%v)", got, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || !reflect.DeepEqual(q["state"], []string{state}) {
			t.Fatalf("%q has the states %q, want %q (%v)", got, q["state"], state, err)
		}
		kept, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("the query %q was accepted: %v", query, err)
		}
		added := map[string]string{"client_key": appID, "response_type": "code", "redirect_uri": redirectURI, "scope": scope}
		for name, value := range added {
			if kept.Get(name) == "" && !reflect.DeepEqual(q[name], []string{value}) {
				t.Errorf("%q has %s %q, want %q", got, name, q[name], value)
			}
		}
		for name, values := range kept {
			_, filled := added[name]
			replaced := name == "state" || (name == "disable_auto_auth" && force) || (filled && kept.Get(name) == "")
			if !replaced && !reflect.DeepEqual(q[name], values) {
				t.Errorf("%q has %s %q, want %q as in the endpoint", got, name, q[name], values)
			}
		}
	})
}
