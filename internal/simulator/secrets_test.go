package simulator_test

import (
	"bytes"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// Neither the log at its highest level nor what the admin API tells holds a token, a code or a secret, whatever was done.
func TestNoSecretsInLogs(t *testing.T) {
	var (
		mu  sync.Mutex
		log bytes.Buffer
	)
	b := newBench(t, auto, func(o *simulator.Options) {
		o.AppSecret = "first-app-secret"
		o.Log = funcr.New(func(prefix, args string) {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(prefix + args + "\n")
		}, funcr.Options{Verbosity: 100})
	})
	b.secret = "first-app-secret"
	secrets := []string{"first-app-secret", "second-app-secret", "wrong-app-secret"}
	rcv := newReceiver(b, 500, "DIRECT_MESSAGE")
	code := b.back(b.authorizeURL()).Get("code")
	secrets = append(secrets, code, url.QueryEscape(code))
	exchange := func(secret string) reply {
		return b.post(tokenEndpoint, "client_id", appID, "client_secret", secret, "grant_type", "authorization_code", "auth_code", code,
			"redirect_uri", redirectURI)
	}
	exchange("wrong-app-secret")
	r := exchange("first-app-secret")
	b.want(r, 0)
	secrets = append(secrets, r.text("access_token"), r.text("refresh_token"))
	r = b.post(refreshEndpoint, "client_id", appID, "client_secret", "first-app-secret", "grant_type", "refresh_token",
		"refresh_token", r.text("refresh_token"))
	b.want(r, 0)
	secrets = append(secrets, r.text("access_token"), r.text("refresh_token"))
	b.get(getEndpoint, r.text("access_token"), "business_id", business)
	b.post(infoEndpoint, "app_id", appID, "access_token", r.text("access_token"))
	b.get(listEndpoint, "", "app_id", appID, "secret", "first-app-secret", "event_type", "VIDEO")
	b.send(simulator.Event{Text: "private words"})
	token := b.done("POST", "tokens", `{}`)
	for _, name := range []string{"access_token", "refresh_token"} {
		text, _ := token[name].(string)
		secrets = append(secrets, text)
	}
	b.done("POST", "faults", `{"endpoint":"*","times":1,"code":50000}`)
	b.post(revokeEndpoint, "client_id", appID, "client_secret", "first-app-secret", "access_token", r.text("access_token"))
	b.post(revokeEndpoint, "client_id", appID, "client_secret", "first-app-secret", "access_token", r.text("access_token"))
	b.done("PUT", "app", `{"secret":"second-app-secret"}`)
	b.admin("PUT", "app", `{"secret":"second-app-secret","x":1}`)
	b.admin("PUT", "app", `{"secret":["second-app-secret"]}`)
	b.done("POST", "tokens/revoke", `{"business":"biz-0001"}`)
	b.eventually("the retry waits", b.clock.HasWaiters)
	b.sim.Close()
	secrets = append(secrets, rcv.all()[0].s)

	told := ""
	for _, path := range []string{"state", "calls", "deliveries", "faults", "consent", "businesses"} {
		told += b.do(b.request("GET", b.url+"/admin/"+path, "", "")).raw
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "\n"); n < 15 {
		t.Errorf("%d lines were logged: this test sees too little", n)
	}
	for i, secret := range append(secrets, "private words") {
		switch {
		case secret == "":
			t.Errorf("secret %d is empty", i)
		case strings.Contains(log.String(), secret):
			t.Errorf("secret %d is in the log:\n%s", i, log.String())
		case strings.Contains(told, secret):
			t.Errorf("secret %d is told by the admin API", i)
		}
	}
}
