package tiktok_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	const plain = "hunter2"
	secret := tiktok.Secret(plain)
	if secret.Reveal() != plain {
		t.Errorf("Reveal gives %q", secret.Reveal())
	}
	client := newClient(t, "", func(c *tiktok.Config) { c.AppSecret = secret })
	token := &tiktok.Token{AccessToken: secret, RefreshToken: secret}
	config := tiktok.Config{AppID: "1", AppSecret: secret}
	for _, v := range []any{secret, &secret, []tiktok.Secret{secret}, map[string]tiktok.Secret{"x": secret}, token, *token, config, client} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, plain) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", plain)) {
				t.Errorf("%s of %T: %s", verb, v, s)
			}
		}
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v)
		funcr.New(func(prefix, args string) { logged.WriteString(prefix + args) }, funcr.Options{}).Info("x", "v", v)
		funcr.NewJSON(func(obj string) { logged.WriteString(obj) }, funcr.Options{}).Info("x", "v", v)
		if strings.Contains(logged.String(), plain) {
			t.Errorf("logging %T: %s", v, logged.String())
		}
	}
	text, err := json.Marshal(map[string]any{"token": token, "secret": secret})
	if err != nil || strings.Contains(string(text), plain) || !strings.Contains(string(text), "[redacted]") {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

// carried are the secrets of each call, besides the app secret.
var carried = map[string][]string{
	"tt_user/oauth2/token/": {authCode}, "tt_user/oauth2/refresh_token/": {refresh.Reveal()}, "tt_user/oauth2/revoke/": {access.Reveal()},
	"tt_user/token_info/get/": {access.Reveal()}, "business/get/": {access.Reveal()},
	"business/message/send/": {access.Reveal()}, "business/message/capabilities/get/": {access.Reveal()},
}

// secretForms are the secrets that a call carries, in the ways in which they may be written.
func secretForms(endpoint string) []string {
	var forms []string
	for _, s := range append([]string{appSecret.Reveal()}, carried[endpoint]...) {
		quoted, _ := json.Marshal(s)
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(quoted), `"`))
	}
	return forms
}

// leaks looks for secrets in everything that an error says, in all its layers and in all the ways in which it may be printed.
func leaks(err error, forms []string) string {
	var texts []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		texts = append(texts, e.Error(), fmt.Sprintf("%v|%+v|%#v|%q", e, e, e, e))
		if text, jsonErr := json.Marshal(e); jsonErr == nil {
			texts = append(texts, string(text))
		}
	}
	for _, text := range texts {
		for _, form := range forms {
			if strings.Contains(text, form) {
				return text
			}
		}
	}
	return ""
}

// TestErrorsHoldNoSecrets: whatever goes wrong with whichever call, and however much of the request is echoed.
func TestErrorsHoldNoSecrets(t *testing.T) {
	echo := func(status int, write func(io.Writer, string)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			all := strings.Join(append(everySecret(), r.URL.String(), r.Header.Get("Access-Token"), string(body)), " ")
			w.Header().Set("X-Tt-Logid", strings.Join(everySecret(), ""))
			w.Header().Set("Content-Type", "text/"+url.QueryEscape(appSecret.Reveal()))
			w.Header().Set("Location", "https://x.example/%zz?"+r.URL.RawQuery+"&"+all)
			w.WriteHeader(status)
			write(w, all)
		}
	}
	envelope := func(w io.Writer, all string) {
		_ = json.NewEncoder(w).Encode(map[string]any{"code": 40002, "message": "bad: " + all, "request_id": all, "data": map[string]any{}})
	}
	tests := map[string]struct {
		handler http.HandlerFunc
		client  *http.Client
	}{
		"TikTok quotes the request": {handler: echo(200, envelope)},
		"with its secrets first":    {handler: echo(200, func(w io.Writer, all string) { envelope(w, strings.Join(everySecret(), "")+all) })},
		"a proxy quotes it":         {handler: echo(502, func(w io.Writer, all string) { _, _ = io.WriteString(w, all) })},
		"a proxy quotes it as JSON": {handler: echo(200, func(w io.Writer, all string) { _ = json.NewEncoder(w).Encode(all) })},
		"a redirect quotes it":      {handler: echo(302, func(io.Writer, string) {})},
		"data quotes it":            {handler: echo(200, func(w io.Writer, all string) { _ = json.NewEncoder(w).Encode(map[string]any{"code": 0, "data": all}) })},
		"no connection":             {client: &http.Client{Transport: failing{errors.New("no route")}}},
		"a transport that quotes it": {client: &http.Client{Transport: failing{
			fmt.Errorf("proxy: %w", &url.Error{Op: "Get", URL: "https://x.example/?" + strings.Join(everySecret(), "&"), Err: errors.New("gone")}),
		}}},
		"a transport that quotes it twice": {client: &http.Client{Transport: failing{
			&url.Error{Op: "Get", URL: "x", Err: &url.Error{Op: "Get", URL: "https://x.example/?secret=" + appSecret.Reveal(), Err: context.Canceled}},
		}}},
		"a transport that quotes all": {client: &http.Client{Transport: failing{errors.New(strings.Join(everySecret(), "?"))}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			endpoint := "http://127.0.0.1:9/"
			if tt.handler != nil {
				endpoint = serve(t, tt.handler).URL
			}
			client := newClient(t, endpoint, func(c *tiktok.Config) { c.HTTPClient = tt.client })
			for endpoint, call := range calls {
				err := call(soon(t), client)
				if err == nil {
					if strings.HasPrefix(name, "data") {
						continue // the calls that want no data
					}
					t.Fatalf("%s succeeded", endpoint)
				}
				if text := leaks(fmt.Errorf("wrapped: %w", err), secretForms(endpoint)); text != "" {
					t.Errorf("%s: %s", endpoint, text)
				}
				var urlError *url.Error
				if errors.As(err, &urlError) {
					t.Errorf("%s: the URL can be had with errors.As: %v", endpoint, urlError)
				}
				if e := asError(t, err); len([]rune(e.Message)) > 200 || len([]rune(e.RequestID)) > 200 || len([]rune(e.LogID)) > 200 {
					t.Errorf("%s: it says too much: %v", endpoint, err)
				}
			}
		})
	}
}

type failing struct{ err error }

func everySecret() []string {
	var all []string
	for endpoint := range calls {
		all = append(all, secretForms(endpoint)...)
	}
	return all
}

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, f.err
}

// TestForeignURLsAreCut: a secret may be spelt in more ways than anybody can list, so the query of a URL goes as a whole.
func TestForeignURLsAreCut(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"by a transport": failing{errors.New(`proxy refused "https://x.example/list/?secret=app%2fs3cret%2bwith%3dodd%26chars&event_type=x" for now`)},
		"by a redirect":  canned{status: http.StatusFound, location: "https://x.example/%zz/app%2fs3cret%2bwith%3dodd%26chars"},
	} {
		client := newClient(t, "", func(c *tiktok.Config) { c.HTTPClient = &http.Client{Transport: transport} })
		_, err := client.Webhook(soon(t), "DIRECT_MESSAGE")
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "by a transport" && !strings.Contains(err.Error(), "for now") {
			t.Errorf("%s: %v says too little", name, err)
		}
	}
}

// TestSecretsThatBeginAlike: the longer one must not lose only its beginning.
func TestSecretsThatBeginAlike(t *testing.T) {
	server := serve(t, answerJSON(`{"code":40002,"message":"abc abcdef abc"}`))
	for _, secrets := range [][2]tiktok.Secret{{"abc", "abcdef"}, {"abcdef", "abc"}} {
		client := newClient(t, server.URL, func(c *tiktok.Config) { c.AppSecret = secrets[0] })
		err := client.RevokeToken(soon(t), secrets[1])
		if e := asError(t, err); e.Message != "[redacted] [redacted] [redacted]" {
			t.Errorf("message %q", e.Message)
		}
	}
}

func TestForeignWordsAreMadePrintable(t *testing.T) {
	server := serve(t, answerJSON(`{"code":40002,"message":"  scope:\u0000 \u001b[31mno\r\n\tsuch\u202e scope \ud83d\ude00 `+strings.Repeat("é", 300)+`"}`))
	err := newClient(t, server.URL).RevokeToken(soon(t), access)
	e := asError(t, err)
	if !strings.HasPrefix(e.Message, "scope: [31mno such scope 😀 é") || len([]rune(e.Message)) != 200 || !strings.HasSuffix(e.Message, "…") {
		t.Errorf("message %q", e.Message)
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
		t.Errorf("error %q", err)
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*tiktok.Error{
		"TikTok business/get/: code 40105: revoked (request_id r, x-tt-logid l)": {Endpoint: "business/get/", Code: 40105, HTTPStatus: 200, Message: "revoked", RequestID: "r", LogID: "l"},
		"TikTok business/get/: HTTP 502: not TikTok's (x-tt-logid l)":            {Endpoint: "business/get/", HTTPStatus: 502, Message: "not TikTok's", LogID: "l"},
		"TikTok business/get/: not sent: refused":                                {Endpoint: "business/get/", NotSent: true, Message: "refused"},
		"TikTok business/get/: no answer":                                        {Endpoint: "business/get/"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
