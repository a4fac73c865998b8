package tiktok_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// TestCallsOnTheWire pins what TikTok receives, to the letter: it refuses other names, methods and paths.
func TestCallsOnTheWire(t *testing.T) {
	tests := map[string]struct {
		method      string
		query       map[string][]string
		body        map[string]any
		accessToken string
	}{
		"tt_user/oauth2/token/": {method: "POST", body: map[string]any{
			"client_id": appID, "client_secret": appSecret.Reveal(), "grant_type": "authorization_code", "auth_code": authCode,
			"redirect_uri": "https://op.example.com/oauth/callback/",
		}},
		"tt_user/oauth2/refresh_token/": {method: "POST", body: map[string]any{
			"client_id": appID, "client_secret": appSecret.Reveal(), "grant_type": "refresh_token", "refresh_token": refresh.Reveal(),
		}},
		"tt_user/oauth2/revoke/": {method: "POST", body: map[string]any{
			"client_id": appID, "client_secret": appSecret.Reveal(), "access_token": access.Reveal(),
		}},
		"tt_user/token_info/get/": {method: "POST", body: map[string]any{"app_id": appID, "access_token": access.Reveal()}},
		"business/get/": {method: "GET", accessToken: access.Reveal(), query: map[string][]string{
			"business_id": {"-000biz"}, "fields": {`["username","display_name","profile_image"]`},
		}},
		"business/webhook/list/": {method: "GET", query: map[string][]string{
			"app_id": {appID}, "secret": {appSecret.Reveal()}, "event_type": {"DIRECT_MESSAGE"},
		}},
		"business/webhook/update/": {method: "POST", body: map[string]any{
			"app_id": appID, "secret": appSecret.Reveal(), "event_type": "DIRECT_MESSAGE", "callback_url": "https://op.example.com/webhooks/main",
		}},
		"business/webhook/delete/": {method: "POST", body: map[string]any{
			"app_id": appID, "secret": appSecret.Reveal(), "event_type": "DIRECT_MESSAGE",
		}},
		"business/message/conversation/list/": {method: "GET", accessToken: access.Reveal(), query: map[string][]string{
			"business_id": {"-000biz"}, "conversation_type": {"STRANGER"}, "limit": {"50"}, "cursor": {"7+/="},
		}},
		"business/message/content/list/": {method: "GET", accessToken: access.Reveal(), query: map[string][]string{
			"business_id": {"-000biz"}, "conversation_id": {"conv+/=="},
		}},
		"business/message/send/": {method: "POST", accessToken: access.Reveal(), body: map[string]any{
			"business_id": "-000biz", "recipient_type": "CONVERSATION", "recipient": "conv+/==", "message_type": "TEXT",
			"text": map[string]any{"body": "hi"}, "referenced_message_info": map[string]any{"referenced_message_id": "7"},
		}},
		"business/message/capabilities/get/": {method: "GET", accessToken: access.Reveal(), query: map[string][]string{
			"business_id": {"-000biz"}, "conversation_id": {"conv+/=="}, "conversation_type": {"SINGLE"}, "capability_types": {`["IMAGE_SEND"]`},
		}},
	}
	if len(tests) != len(calls) {
		t.Fatalf("%d calls, %d of them tested", len(calls), len(tests))
	}
	for endpoint, tt := range tests {
		t.Run(endpoint, func(t *testing.T) {
			for _, base := range []string{"/open_api/v1.3/", "/open_api/v1.3"} {
				server := serve(t, answerJSON(`{"code":0,"message":"OK","request_id":"1","data":{"access_token":"a","refresh_token":"r",`+
					`"message":{"message_id":"1"}}}`))
				if err := calls[endpoint](soon(t), newClient(t, server.URL+base)); err != nil {
					t.Fatal(err)
				}
				requests := server.taken()
				if len(requests) != 1 {
					t.Fatalf("%d requests, want 1", len(requests))
				}
				got := requests[0]
				if got.method != tt.method || got.path != "/open_api/v1.3/"+endpoint {
					t.Errorf("%s %s, want %s /open_api/v1.3/%s", got.method, got.path, tt.method, endpoint)
				}
				if len(got.query)+len(tt.query) > 0 && !reflect.DeepEqual(got.query, tt.query) {
					t.Errorf("query %q, want %q", got.query, tt.query)
				}
				if strings.ContainsAny(got.rawQuery, "+/") {
					t.Errorf("query %q is not percent-encoded", got.rawQuery)
				}
				if h := got.header.Get("Access-Token"); h != tt.accessToken {
					t.Errorf("Access-Token %q, want %q", h, tt.accessToken)
				}
				if h := got.header.Get("Authorization"); h != "" {
					t.Errorf("Authorization %q: TikTok's tokens are no bearer tokens", h)
				}
				if tt.body == nil {
					if got.body != "" || got.header.Get("Content-Type") != "" {
						t.Errorf("a GET has the body %q of type %q", got.body, got.header.Get("Content-Type"))
					}
					continue
				}
				if h := got.header.Get("Content-Type"); h != "application/json" {
					t.Errorf("Content-Type %q", h)
				}
				var body map[string]any
				if err := json.Unmarshal([]byte(got.body), &body); err != nil || !reflect.DeepEqual(body, tt.body) {
					t.Errorf("body %s (%v), want %v", got.body, err, tt.body)
				}
			}
		})
	}
}

func TestTokenAnswers(t *testing.T) {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	base := tiktok.Token{AccessToken: "a", RefreshToken: "r", ExpiresIn: day, RefreshTokenExpiresIn: year}
	with := func(change func(*tiktok.Token)) *tiktok.Token {
		token := base
		change(&token)
		return &token
	}
	tests := map[string]struct {
		data string
		want *tiktok.Token // nil means malformed
	}{
		"all of it": {
			`{"access_token":"a","token_type":"Bearer","expires_in":86400,"refresh_token":"r","refresh_token_expires_in":31536000,` +
				`"open_id":"-000abc","scope":"user.info.basic,message.list.read","new":{"field":1}}`,
			with(func(t *tiktok.Token) {
				t.TokenType, t.OpenID, t.Scopes = "Bearer", "-000abc", []string{"user.info.basic", "message.list.read"}
			}),
		},
		"lifetimes missing":             {`{"access_token":"a","refresh_token":"r"}`, &base},
		"lifetimes null":                {`{"access_token":"a","refresh_token":"r","expires_in":null,"refresh_token_expires_in":null}`, &base},
		"lifetimes as strings":          {`{"access_token":"a","refresh_token":"r","expires_in":"60","refresh_token_expires_in":" 120 "}`, with(func(t *tiktok.Token) { t.ExpiresIn, t.RefreshTokenExpiresIn = time.Minute, 2*time.Minute })},
		"lifetimes as floats":           {`{"access_token":"a","refresh_token":"r","expires_in":60.9,"refresh_token_expires_in":1.2e2}`, with(func(t *tiktok.Token) { t.ExpiresIn, t.RefreshTokenExpiresIn = time.Minute, 2*time.Minute })},
		"lifetimes not positive":        {`{"access_token":"a","refresh_token":"r","expires_in":0,"refresh_token_expires_in":-5}`, &base},
		"lifetimes of another kind":     {`{"access_token":"a","refresh_token":"r","expires_in":{"s":1},"refresh_token_expires_in":"a year"}`, &base},
		"lifetimes beyond all measure":  {`{"access_token":"a","refresh_token":"r","expires_in":9223372036854775807,"refresh_token_expires_in":1e300}`, with(func(t *tiktok.Token) { t.ExpiresIn = 10 * year })},
		"scopes with spaces":            {`{"access_token":"a","refresh_token":"r","scope":"x y,  z,"}`, with(func(t *tiktok.Token) { t.Scopes = []string{"x", "y", "z"} })},
		"scopes as a list":              {`{"access_token":"a","refresh_token":"r","scope":["x","y,z"]}`, with(func(t *tiktok.Token) { t.Scopes = []string{"x", "y", "z"} })},
		"scopes of another kind":        {`{"access_token":"a","refresh_token":"r","scope":{"x":true}}`, &base},
		"an open_id of digits":          {`{"access_token":"a","refresh_token":"r","open_id":9007199254740993}`, with(func(t *tiktok.Token) { t.OpenID = "9007199254740993" })},
		"no access token":               {`{"refresh_token":"r"}`, nil},
		"an empty access token":         {`{"access_token":"","refresh_token":"r"}`, nil},
		"no refresh token":              {`{"access_token":"a"}`, nil},
		"a refresh token of null":       {`{"access_token":"a","refresh_token":null}`, nil},
		"an access token that is a map": {`{"access_token":{},"refresh_token":"r"}`, nil},
		"nothing":                       {`{}`, nil},
		"null":                          {`null`, nil},
		"an empty list":                 {`[]`, nil},
		"an empty string":               {`""`, nil},
		"a list":                        {`[{"access_token":"a","refresh_token":"r"}]`, nil},
		"a number":                      {`7`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := serve(t, answerJSON(`{"code":0,"message":"OK","request_id":"req-1","data":`+tt.data+`}`))
			var observed []string
			client := newClient(t, server.URL, func(c *tiktok.Config) {
				c.Observe = func(o tiktok.Observation) { observed = append(observed, o.Code) }
			})
			for _, call := range []func(context.Context) (*tiktok.Token, error){
				func(ctx context.Context) (*tiktok.Token, error) { return client.RefreshToken(ctx, refresh) },
				func(ctx context.Context) (*tiktok.Token, error) {
					return client.ExchangeCode(ctx, authCode, "https://x.example/")
				},
			} {
				got, err := call(soon(t))
				if tt.want != nil {
					if err != nil || !reflect.DeepEqual(got, tt.want) {
						t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
					}
					continue
				}
				if got != nil {
					t.Errorf("got tokens %+v beside the error", got)
				}
				e := asError(t, err)
				if e.Class != tiktok.ClassMalformed || e.NotSent || e.RequestID != "req-1" || e.LogID != "log-1" {
					t.Errorf("got %+v, want it malformed, sent, with TikTok's ids", e)
				}
			}
			want := "0"
			if tt.want == nil {
				want = "malformed"
			}
			if !reflect.DeepEqual(observed, []string{want, want}) {
				t.Errorf("observed %q, want %q twice", observed, want)
			}
		})
	}
}

func TestOtherAnswers(t *testing.T) {
	t.Run("token info", func(t *testing.T) {
		server := serve(t, answerJSON(`{"code":"0","data":{"app_id":7012345678901234567,"creator_id":"-000abc","scope":"a,b"}}`))
		got, err := newClient(t, server.URL).TokenInfo(soon(t), access)
		want := &tiktok.TokenInfo{AppID: "7012345678901234567", CreatorID: "-000abc", Scopes: []string{"a", "b"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	})
	t.Run("profile", func(t *testing.T) {
		server := serve(t, answerJSON(`{"code":0,"data":{"username":"shop","display_name":"The <Shop> ☕","profile_image":"https://p.example/i?x-expires=1"}}`))
		got, err := newClient(t, server.URL).BusinessProfile(soon(t), access, "-000abc")
		want := &tiktok.BusinessProfile{Username: "shop", DisplayName: "The <Shop> ☕", ProfileImageURL: "https://p.example/i?x-expires=1"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	})
	for data, want := range map[string]string{
		`{"callback_url":"https://op.example.com/webhooks/main","event_type":"DIRECT_MESSAGE"}`: "https://op.example.com/webhooks/main",
		`{"event_type":"DIRECT_MESSAGE"}`: "", `{"callback_url":null}`: "", `{"callback_url":""}`: "", `{}`: "", `null`: "", `[]`: "",
	} {
		t.Run("webhook "+data, func(t *testing.T) {
			server := serve(t, answerJSON(`{"code":0,"message":"OK","data":`+data+`}`))
			got, err := newClient(t, server.URL).Webhook(soon(t), "DIRECT_MESSAGE")
			if err != nil || got.CallbackURL != want {
				t.Errorf("got %+v, %v; want %q", got, err, want)
			}
		})
	}
	t.Run("no data where none is wanted", func(t *testing.T) {
		for _, data := range []string{`{"code":0}`, `{"code":0,"data":"whatever"}`, `{"code":0,"message":{"odd":1},"data":[1]}`} {
			server := serve(t, answerJSON(data))
			if err := newClient(t, server.URL).RevokeToken(soon(t), access); err != nil {
				t.Errorf("%s: %v", data, err)
			}
		}
	})
}

// TestNothingIncompleteIsSent: an empty parameter is our mistake, and costs neither a call nor a permit.
func TestNothingIncompleteIsSent(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{}}`))
	limiter := tiktok.NewLimiter(1, nil)
	client := newClient(t, server.URL, func(c *tiktok.Config) {
		c.Limiter = limiter
		c.Observe = func(o tiktok.Observation) { t.Errorf("observed %+v", o) }
	})
	ctx := soon(t)
	for name, call := range map[string]func() error{
		"no code":           func() error { _, err := client.ExchangeCode(ctx, "", "https://x.example/"); return err },
		"no redirect URI":   func() error { _, err := client.ExchangeCode(ctx, authCode, ""); return err },
		"no refresh token":  func() error { _, err := client.RefreshToken(ctx, ""); return err },
		"no access token":   func() error { return client.RevokeToken(ctx, "") },
		"no business":       func() error { _, err := client.BusinessProfile(ctx, access, ""); return err },
		"no header":         func() error { _, err := client.BusinessProfile(ctx, "", "-000abc"); return err },
		"header with break": func() error { _, err := client.BusinessProfile(ctx, "to\r\nken", "-000abc"); return err },
		"no event type":     func() error { _, err := client.Webhook(ctx, ""); return err },
		"no callback URL":   func() error { return client.UpdateWebhook(ctx, "DIRECT_MESSAGE", "") },
	} {
		e := asError(t, call())
		if e.Class != tiktok.ClassPermanent || !e.NotSent || e.HTTPStatus != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if n := len(server.taken()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if wait := limiter.Reserve("next"); wait != 0 {
		t.Errorf("the permit is gone for %s", wait)
	}
}

func TestNewClientRefuses(t *testing.T) {
	good := tiktok.Config{AppID: "1", AppSecret: "s"}
	for name, change := range map[string]func(*tiktok.Config){
		"no app id":              func(c *tiktok.Config) { c.AppID = "" },
		"no secret":              func(c *tiktok.Config) { c.AppSecret = "" },
		"a relative endpoint":    func(c *tiktok.Config) { c.APIEndpoint = "/open_api/" },
		"another scheme":         func(c *tiktok.Config) { c.APIEndpoint = "ftp://x.example/" },
		"no host":                func(c *tiktok.Config) { c.APIEndpoint = "https://:443/" },
		"a password":             func(c *tiktok.Config) { c.APIEndpoint = "https://u:p@x.example/" },
		"a query":                func(c *tiktok.Config) { c.APIEndpoint = "https://x.example/?a=b" },
		"a fragment":             func(c *tiktok.Config) { c.AuthorizeEndpoint = "https://x.example/#" },
		"a query beyond reading": func(c *tiktok.Config) { c.AuthorizeEndpoint = "https://x.example/?a=%zz" },
		"not a URL":              func(c *tiktok.Config) { c.AuthorizeEndpoint = "https://x.example/%zz" },
	} {
		config := good
		change(&config)
		if _, err := tiktok.NewClient(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := tiktok.NewClient(good); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

// TestRedirectsAreNotFollowed: the token would go wherever the redirect says.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := serve(t, answerJSON(`{"code":0,"data":{}}`))
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	for endpoint, call := range calls {
		client := newClient(t, server.URL, func(c *tiktok.Config) { c.HTTPClient = &http.Client{} })
		e := asError(t, call(soon(t), client))
		if e.Class != tiktok.ClassMalformed || e.HTTPStatus != http.StatusTemporaryRedirect {
			t.Errorf("%s: %+v", endpoint, e)
		}
	}
	if n := len(elsewhere.taken()); n != 0 {
		t.Errorf("%d requests followed the redirect", n)
	}
}
