package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCodeExchange(t *testing.T) {
	b := newBench(t, auto)
	answer := b.back(b.authorizeURL())
	if got := answer.Get("scopes"); got != "user.info.basic,message.list.read" {
		t.Errorf("scopes %q came back", got)
	}
	r := b.exchange(answer.Get("code"))
	b.want(r, 0)
	if r.text("open_id") != business || r.text("scope") != "user.info.basic,message.list.read" || r.text("token_type") == "" ||
		r.Data["expires_in"] != 86400.0 || r.Data["refresh_token_expires_in"] != 31536000.0 {
		t.Errorf("data %v", r.Data)
	}
	b.want(b.exchange(answer.Get("code")), 40110) // once
	info := b.post(infoEndpoint, "app_id", appID, "access_token", r.text("access_token"))
	b.want(info, 0)
	if info.text("creator_id") != business || info.text("app_id") != appID || info.text("scope") != r.text("scope") {
		t.Errorf("token info %v", info.Data)
	}
	if !strings.ContainsAny(answer.Get("code"), "*!") {
		t.Error("the code needs no decoding, as TikTok's does")
	}
}

func TestCodeIsBoundAndExpires(t *testing.T) {
	b := newBench(t, auto)
	exchange := func(code, secret, redirect string) reply {
		return b.post(tokenEndpoint, "client_id", appID, "client_secret", secret, "grant_type", "authorization_code", "auth_code", code,
			"redirect_uri", redirect)
	}
	code := b.back(b.authorizeURL()).Get("code")
	b.want(exchange(code, "wrong", redirectURI), 40101)
	b.want(exchange(code, appSecret, redirectURI), 0) // the wrong secret did not spend it

	code = b.back(b.authorizeURL()).Get("code")
	b.want(exchange(code, appSecret, strings.TrimSuffix(redirectURI, "/")), 40110)
	b.want(exchange(code, appSecret, redirectURI), 40110) // a wrong redirect_uri did

	code = b.back(b.authorizeURL()).Get("code")
	late := b.back(b.authorizeURL()).Get("code")
	b.clock.Step(10*time.Minute - time.Nanosecond)
	b.want(b.exchange(code), 0)
	b.clock.Step(time.Nanosecond)
	b.want(b.exchange(late), 40110)
	b.want(b.exchange(b.back(b.authorizeURL()).Get("code")), 0) // old codes are swept out, new ones are not
}

func TestRefreshTokensRotate(t *testing.T) {
	b := newBench(t)
	first := b.sim.IssueToken(business, "user.info.basic")
	r := b.refresh(first.RefreshToken)
	b.want(r, 0)
	if r.text("open_id") != business || r.text("scope") != "user.info.basic" || r.text("refresh_token") == first.RefreshToken {
		t.Errorf("data %v", r.Data)
	}
	b.want(b.refresh(first.RefreshToken), 40105) // rotated out
	if b.sim.RefreshTokenWorks(first.RefreshToken) || !b.sim.RefreshTokenWorks(r.text("refresh_token")) {
		t.Error("RefreshTokenWorks contradicts the API")
	}
	// Using the old one again does not harm the new one.
	second := b.refresh(r.text("refresh_token"))
	b.want(second, 0)
	for _, access := range []string{first.AccessToken, r.text("access_token"), second.text("access_token")} {
		b.want(b.get(getEndpoint, access, "business_id", business), 0) // old access tokens live on
	}
	b.clock.Step(24 * time.Hour)
	b.want(b.get(getEndpoint, first.AccessToken, "business_id", business), 40105)
	if b.sim.AccessTokenWorks(second.text("access_token")) {
		t.Error("an access token outlives its day")
	}
	b.clock.Step(364*24*time.Hour - time.Nanosecond)
	third := b.refresh(second.text("refresh_token"))
	b.want(third, 0)
	b.clock.Step(365 * 24 * time.Hour)
	b.want(b.refresh(third.text("refresh_token")), 40105) // expired
}

func TestAuthorizationsAreIndependent(t *testing.T) {
	b := newBench(t)
	one, two, other := b.sim.IssueToken(business), b.sim.IssueToken(business), b.sim.IssueToken("biz-2")
	b.want(b.refresh(one.RefreshToken), 0)
	b.want(b.refresh(two.RefreshToken), 0)
	// The user disconnects: all of the business goes, nothing of others.
	again := b.sim.IssueToken(business)
	b.sim.RevokeBusiness(business)
	b.want(b.refresh(again.RefreshToken), 40105)
	for _, token := range []string{one.AccessToken, two.AccessToken, again.AccessToken} {
		b.want(b.get(getEndpoint, token, "business_id", business), 40105)
	}
	b.want(b.refresh(other.RefreshToken), 0)
	b.want(b.refresh(b.sim.IssueToken(business).RefreshToken), 0) // connected again
}

func TestRevokeEndpoint(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	r := b.post(revokeEndpoint, "client_id", appID, "client_secret", appSecret, "access_token", token.AccessToken)
	b.want(r, 0)
	if len(r.Data) != 0 {
		t.Errorf("data %v, want none", r.Data)
	}
	b.want(b.refresh(token.RefreshToken), 40105)
	b.want(b.post(revokeEndpoint, "client_id", appID, "client_secret", appSecret, "access_token", token.AccessToken), 40105)
}

func TestTokensOfAnotherSimulator(t *testing.T) {
	b, other := newBench(t), newBench(t)
	token := other.sim.IssueToken(business)
	b.sim.IssueToken(business)
	b.want(b.refresh(token.RefreshToken), 40105)
	b.want(b.get(getEndpoint, token.AccessToken, "business_id", business), 40105)
}

func TestWebhookConfiguration(t *testing.T) {
	b := newBench(t)
	list := func(eventType string) reply {
		r := b.get(listEndpoint, "", "app_id", appID, "secret", appSecret, "event_type", eventType)
		b.want(r, 0)
		return r
	}
	if _, given := list("DIRECT_MESSAGE").Data["callback_url"]; given {
		t.Error("there is a callback_url before one was registered")
	}
	b.register("DIRECT_MESSAGE", "https://hooks.example/webhooks/a")
	b.register("COMMENT", "https://hooks.example/webhooks/c")
	b.register("DIRECT_MESSAGE", "https://hooks.example/webhooks/b") // replaces
	if got := list("DIRECT_MESSAGE").text("callback_url"); got != "https://hooks.example/webhooks/b" || b.sim.Webhook("DIRECT_MESSAGE") != got {
		t.Errorf("callback_url %q", got)
	}
	b.want(b.post(deleteEndpoint, "app_id", appID, "secret", appSecret, "event_type", "DIRECT_MESSAGE"), 0)
	if list("DIRECT_MESSAGE").text("callback_url") != "" || list("COMMENT").text("callback_url") == "" {
		t.Error("delete does not remove exactly one event type")
	}
	for _, callback := range []string{"hooks.example/", "http://hooks.example/", "https://", "https://u:p@hooks.example/", "ftp://127.0.0.1/", "https://a.example/#x"} {
		r := b.post(updateEndpoint, "app_id", appID, "secret", appSecret, "event_type", "VIDEO", "callback_url", callback)
		if r.Code != 40002 || !strings.Contains(r.Message, "callback_url") {
			t.Errorf("%s: code %d %q, want 40002 that names callback_url", callback, r.Code, r.Message)
		}
	}
	body := func(eventType string) string {
		return `{"app_id":"sim-app","secret":"sim-secret","event_type":"` + eventType + `","callback_url":"http://localhost:1/x","item_list":["7"]}`
	}
	target := b.url + "/open_api/v1.3/" + updateEndpoint
	b.want(b.do(b.request(http.MethodPost, target, "application/json", body("COMMENT"))), 0)
	b.want(b.do(b.request(http.MethodPost, target, "application/json", body("VIDEO"))), 40002)
}
