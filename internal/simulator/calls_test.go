package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestCalls(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	b.want(b.refresh(token.RefreshToken), 0)
	b.want(b.refresh(token.RefreshToken), 40105)
	b.get(getEndpoint, token.AccessToken, "business_id", business)
	b.post("tt_user/oauth2/refresh_token") // no slash
	calls := b.sim.Calls(refreshEndpoint)
	if len(calls) != 2 || b.sim.CountCalls(refreshEndpoint) != 2 || b.sim.CountCalls("") != 4 {
		t.Fatalf("%d of %d calls, %d in all", len(calls), b.sim.CountCalls(refreshEndpoint), b.sim.CountCalls(""))
	}
	c := calls[1]
	if !c.Time.Equal(begin) || c.Method != http.MethodPost || c.Status != 200 || c.Code != 40105 || c.RequestID == "" {
		t.Errorf("call %+v", c)
	}
	for name, want := range map[string]string{
		"client_id": appID, "client_secret": simulator.Fingerprint(appSecret), "refresh_token": simulator.Fingerprint(token.RefreshToken),
		"grant_type": "refresh_token",
	} {
		if got := c.Parameters[name]; got != want {
			t.Errorf("parameter %s is %q, want %q", name, got, want)
		}
	}
	if got := b.sim.Calls(getEndpoint)[0].Parameters["Access-Token"]; got != simulator.Fingerprint(token.AccessToken) {
		t.Errorf("Access-Token is %q", got)
	}
	if unknown := b.sim.Calls("(unknown)"); len(unknown) != 1 || unknown[0].Status != 404 {
		t.Errorf("calls of unknown paths: %+v", unknown)
	}
	b.sim.ResetCalls()
	if b.sim.CountCalls("") != 0 || len(b.sim.Calls("")) != 0 {
		t.Error("calls are left after a reset")
	}
}

// A secret is one wherever a confused client puts it.
func TestSecretsUnderWrongNames(t *testing.T) {
	b := newBench(t)
	b.post(refreshEndpoint, "clientSecret", appSecret, "token", "rft.precious")
	b.get(listEndpoint, "", "client_secret", appSecret)
	b.do(b.request(http.MethodPost, b.url+"/open_api/v1.3/"+refreshEndpoint, "application/json", `{"refresh_token":["rft.precious"],"x":{"y":"sim-secret"}}`))
	for _, c := range b.sim.Calls("") {
		for name, value := range c.Parameters {
			if strings.Contains(value, "precious") || strings.Contains(value, appSecret) {
				t.Errorf("parameter %s shows %q", name, value)
			}
		}
	}
}

func TestLogOfCallsIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 50,000 calls")
	}
	sim := simulator.New(simulator.Options{})
	defer sim.Close()
	const calls = 50_003
	req := httptest.NewRequest(http.MethodPost, "/open_api/v1.3/business/webhook/list/", nil) // 405: the cheapest call
	for range calls {
		sim.ServeHTTP(httptest.NewRecorder(), req)
	}
	if got := sim.CountCalls("business/webhook/list/"); got != calls {
		t.Errorf("counted %d calls of %d", got, calls)
	}
	kept := sim.Calls("business/webhook/list/")
	if len(kept) != 50_000 {
		t.Fatalf("%d calls are kept", len(kept))
	}
	for i := 1; i < len(kept); i++ {
		if kept[i].RequestID <= kept[i-1].RequestID {
			t.Fatalf("call %d is not in order", i)
		}
	}
}

// Neither many parameters nor long ones make the log grow.
func TestLoggedParametersAreBounded(t *testing.T) {
	b := newBench(t)
	pairs := []string{"client_id", strings.Repeat("ä", 10_000)}
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		pairs = append(pairs, strings.Repeat(string(c), 1000), strings.Repeat("v", 10_000))
	}
	b.want(b.post(refreshEndpoint, pairs...), 40002)
	size := 0
	for name, value := range b.sim.Calls("")[0].Parameters {
		size += len(name) + len(value)
	}
	if size > 4<<10 {
		t.Errorf("a call takes %d bytes in the log", size)
	}
}
