package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		fault     simulator.Fault
		status    int
		code      int
		says      string
		processed bool
	}{
		"code":              {fault: simulator.Fault{Code: 51065}, status: 200, code: 51065, says: `"request_id"`},
		"code and message":  {fault: simulator.Fault{Code: 40064, Message: "Take a rest."}, status: 200, code: 40064, says: "Take a rest."},
		"code and status":   {fault: simulator.Fault{Code: 50000, Status: 502}, status: 502, code: 50000},
		"status":            {fault: simulator.Fault{Status: 503}, status: 503, says: "<h1>503 Service Unavailable</h1>"},
		"html":              {fault: simulator.Fault{Garbage: "html"}, status: 200, says: "<html>", processed: true},
		"json":              {fault: simulator.Fault{Garbage: "json"}, status: 200, says: `{"status":"ok"}`, processed: true},
		"truncated":         {fault: simulator.Fault{Garbage: "truncated"}, status: 200, says: `{"code":0`, processed: true},
		"empty":             {fault: simulator.Fault{Garbage: "empty"}, status: 200, processed: true},
		"status and html":   {fault: simulator.Fault{Status: 403, Garbage: "html"}, status: 403, says: "Please wait"},
		"code and half":     {fault: simulator.Fault{Code: 50000, Garbage: "truncated"}, status: 200, says: `{"code":50000`},
		"status without":    {fault: simulator.Fault{Status: 429, Garbage: "empty"}, status: 429},
		"status 200 (html)": {fault: simulator.Fault{Status: 200}, status: 200, says: "<h1>200 OK</h1>"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			token := b.sim.IssueToken(business)
			tc.fault.Endpoint, tc.fault.Times = refreshEndpoint, 1
			b.sim.InjectFault(tc.fault)
			b.want(b.get(listEndpoint, "", "app_id", appID, "secret", appSecret, "event_type", "COMMENT"), 0) // not of this endpoint
			r := b.refresh(token.RefreshToken)
			if r.status != tc.status || r.Code != tc.code || !strings.Contains(r.raw, tc.says) {
				t.Errorf("HTTP %d code %d: %s", r.status, r.Code, r.raw)
			}
			if b.sim.RefreshTokenWorks(token.RefreshToken) == tc.processed {
				t.Errorf("processed is %t, want %t", !tc.processed, tc.processed)
			}
			if tc.fault.Garbage == "empty" && r.raw != "" {
				t.Errorf("body %q, want none", r.raw)
			}
			next := 0
			if tc.processed {
				next = 40105
			}
			b.want(b.refresh(token.RefreshToken), next) // one call was hit
		})
	}
}

func TestFaultsHitInOrder(t *testing.T) {
	b := newBench(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Times: 2, Code: 50001})
	b.sim.InjectFault(simulator.Fault{Endpoint: "*", Code: 50002})
	want := []int{50001, 50001, 50002, 50002}
	for i, code := range want {
		if r := b.refresh("x"); r.Code != code {
			t.Errorf("call %d: code %d, want %d", i, r.Code, code)
		}
	}
	if r := b.get(listEndpoint, ""); r.Code != 50002 {
		t.Errorf("code %d of another endpoint, want that of *", r.Code)
	}
	if left := b.sim.Faults(); len(left) != 1 || left[0].Code != 50002 {
		t.Errorf("faults left: %+v", left)
	}
	b.sim.ClearFaults()
	b.want(b.refresh("x"), 40105)
}

func TestAnswersThatAreLost(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"hang":  {HangAfterProcessing: true},
		"close": {CloseAfterProcessing: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			token := b.sim.IssueToken(business)
			fault.Endpoint, fault.Times = refreshEndpoint, 1
			b.sim.InjectFault(fault)
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/open_api/v1.3/"+refreshEndpoint, strings.NewReader(object(
					"client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "refresh_token", token.RefreshToken)))
				req.Header.Set("Content-Type", "application/json")
				_, err := http.DefaultClient.Do(req)
				failed <- err
			}()
			b.eventually("the call is processed", func() bool { return b.sim.CountCalls(refreshEndpoint) == 1 })
			if b.sim.RefreshTokenWorks(token.RefreshToken) {
				t.Error("the token was not rotated")
			}
			if name == "hang" {
				b.eventually("the call hangs", func() bool { return b.clock.HasWaiters() })
				select {
				case err := <-failed:
					t.Fatalf("it was answered: %v", err)
				default:
				}
				b.clock.Step(5 * time.Minute)
			}
			if err := <-failed; err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want a cut connection", err)
			}
			cancel()
			if c := b.sim.Calls(refreshEndpoint)[0]; c.Code != 0 || c.Status != 200 {
				t.Errorf("the log says %+v, want what the processing gave", c)
			}
		})
	}
}

func TestHangEndsWithTheClientAndWithClose(t *testing.T) {
	for name, end := range map[string]func(*bench, context.CancelFunc){
		"client": func(_ *bench, cancel context.CancelFunc) { cancel() },
		"close":  func(b *bench, _ context.CancelFunc) { b.sim.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.sim.InjectFault(simulator.Fault{Endpoint: "*", HangAfterProcessing: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/open_api/v1.3/"+refreshEndpoint, strings.NewReader("{}"))
				_, _ = http.DefaultClient.Do(req)
			}()
			b.eventually("the call hangs", func() bool { return b.clock.HasWaiters() })
			end(b, cancel)
			<-done
			b.eventually("the hanging goroutine ends", func() bool { return !b.clock.HasWaiters() })
		})
	}
}

func TestLatency(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Latency: 2 * time.Second})
	done := make(chan reply)
	go func() { done <- b.refresh(token.RefreshToken) }()
	b.eventually("the call waits", func() bool { return b.clock.HasWaiters() })
	if !b.sim.RefreshTokenWorks(token.RefreshToken) {
		t.Error("the call is processed before the latency has passed")
	}
	b.clock.Step(2 * time.Second)
	r := <-done
	b.want(r, 0)

	// Who leaves meanwhile has the call not processed, and it is counted all the same.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/open_api/v1.3/"+refreshEndpoint, strings.NewReader(object(
			"client_id", appID, "client_secret", appSecret, "grant_type", "refresh_token", "refresh_token", r.text("refresh_token"))))
		req.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	b.eventually("the call waits", func() bool { return b.clock.HasWaiters() })
	cancel()
	b.eventually("the call is given up", func() bool { return b.sim.CountCalls(refreshEndpoint) == 2 })
	if calls := b.sim.Calls(refreshEndpoint); calls[1].Status != 0 {
		t.Errorf("the log says %+v, want status 0", calls[1])
	}
	if !b.sim.RefreshTokenWorks(r.text("refresh_token")) {
		t.Error("the call was processed")
	}
}

func TestAfterProcess(t *testing.T) {
	var b *bench
	seen := make(chan bool, 1)
	var watched string
	b = newBench(t, func(o *simulator.Options) {
		o.AfterProcess = func(endpoint string) {
			seen <- endpoint == refreshEndpoint && !b.sim.RefreshTokenWorks(watched) && b.sim.CountCalls(refreshEndpoint) == 1
		}
	})
	watched = b.sim.IssueToken(business).RefreshToken
	b.want(b.refresh(watched), 0)
	if !<-seen {
		t.Error("the hook does not see the effects of the call")
	}
}

func TestContradictoryFaultsPanic(t *testing.T) {
	b := newBench(t)
	for name, fault := range map[string]simulator.Fault{
		"misspelt endpoint": {Endpoint: "tt_user/oauth2/refresh_token", Code: 1},
		"nothing":           {Endpoint: "*"},
		"hang and close":    {Endpoint: "*", HangAfterProcessing: true, CloseAfterProcessing: true},
		"hang and code":     {Endpoint: "*", HangAfterProcessing: true, Code: 1},
		"garbage":           {Endpoint: "*", Garbage: "xml"},
		"status":            {Endpoint: "*", Status: 99},
		"times":             {Endpoint: "*", Status: 500, Times: -1},
		"latency":           {Endpoint: "*", Latency: 25 * time.Hour},
		"message":           {Endpoint: "*", Status: 500, Message: "x"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			b.sim.InjectFault(fault)
		}()
	}
}
