package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// refreshDirectly refreshes without a network; it returns the new token, or "" if the old one was refused.
func refreshDirectly(sim *simulator.Simulator, token string) string {
	req := httptest.NewRequest(http.MethodPost, "/open_api/v1.3/"+refreshEndpoint, strings.NewReader(object(
		"client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "refresh_token", token)))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, req)
	var out struct {
		Data struct {
			RefreshToken string `json:"refresh_token"`
		} `json:"data"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return out.Data.RefreshToken
}

// However many use one refresh token at the same time, one gets the next.
func TestOneRefreshWins(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	defer sim.Close()
	token := sim.IssueToken(business).RefreshToken
	for range 20 {
		var (
			wg   sync.WaitGroup
			won  atomic.Int32
			next atomic.Value
		)
		for range 8 {
			wg.Go(func() {
				if got := refreshDirectly(sim, token); got != "" {
					won.Add(1)
					next.Store(got)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 refreshes won", won.Load())
		}
		token, _ = next.Load().(string)
	}
}

// A code too is given away once.
func TestOneExchangeWins(t *testing.T) {
	b := newBench(t, auto)
	code := b.back(b.authorizeURL()).Get("code")
	var (
		wg  sync.WaitGroup
		won atomic.Int32
	)
	for range 8 {
		wg.Go(func() {
			if b.exchange(code).Code == 0 {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 exchanges won", won.Load())
	}
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	b := newBench(t, auto)
	newReceiver(b, 200, "DIRECT_MESSAGE")
	var wg sync.WaitGroup
	for worker := range 4 {
		id := fmt.Sprintf("biz-%d", worker%2)
		for _, work := range []func(){
			func() { refreshDirectly(b.sim, b.sim.IssueToken(id).RefreshToken) },
			func() { b.sim.RevokeBusiness(id) },
			func() { b.sim.AccessTokenWorks(b.sim.IssueToken(id).AccessToken) },
			func() { b.sim.AddBusiness(simulator.Business{OpenID: id}) },
			func() {
				b.sim.SetConsent(simulator.Consent{Mode: "auto", Once: true})
				b.exchange(b.back(b.authorizeURL()).Get("code"))
			},
			func() {
				b.sim.InjectFault(simulator.Fault{Endpoint: "*", Times: 1, Code: 50000})
				b.sim.Faults()
				b.sim.ClearFaults()
			},
			func() { b.sim.SetApprovedScopes(); b.sim.SetAppSecret(appSecret); b.sim.SetAppEnabled(true) },
			func() { b.sim.Calls(""); b.sim.CountCalls(""); b.sim.ResetCalls() },
			func() { _, _ = b.sim.SendEvent(b.Context(), simulator.Event{}); b.sim.Deliveries() },
			func() { b.done("GET", "state", "") },
		} {
			wg.Go(func() {
				for range 10 {
					work()
				}
			})
		}
	}
	wg.Wait()
}

// Refreshing for ever takes no memory, although every old access token works until it expires.
func TestRefreshesTakeNoMemory(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	defer sim.Close()
	token := sim.IssueToken(business).RefreshToken
	heap := func() uint64 {
		sim.ResetCalls()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	refresh := func(n int) {
		for range n {
			if token = refreshDirectly(sim, token); token == "" {
				t.Fatal("refused")
			}
		}
	}
	refresh(100)
	before := heap()
	refresh(5000)
	if after := heap(); after > before+500<<10 {
		t.Errorf("5000 refreshes took %d KiB", (after-before)>>10)
	}
}

// What has expired is forgotten.
func TestExpiredAuthorizationsAreForgotten(t *testing.T) {
	b := newBench(t)
	for i := range 2000 {
		b.sim.IssueToken(fmt.Sprintf("biz-%d", i%100))
	}
	b.clock.Step(365 * 24 * time.Hour)
	live := b.sim.IssueToken(business)
	for range 2000 {
		b.sim.IssueToken(business)
	}
	if n := b.done("GET", "state", "")["authorizations"]; n != 2001.0 {
		t.Errorf("%v authorizations, want the 2001 that live", n)
	}
	b.want(b.refresh(live.RefreshToken), 0)
}

// BenchmarkRefresh is what a load test costs the simulator: ten thousand businesses, on all processors.
func BenchmarkRefresh(b *testing.B) {
	sim := simulator.New(simulator.Options{})
	defer sim.Close()
	tokens := make(chan string, 10_000)
	for i := range cap(tokens) {
		tokens <- sim.IssueToken(fmt.Sprintf("biz-%d", i)).RefreshToken
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			next := refreshDirectly(sim, <-tokens)
			if next == "" {
				b.Error("refused")
				return
			}
			tokens <- next
		}
	})
}
