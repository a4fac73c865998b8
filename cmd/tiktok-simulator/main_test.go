package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestParse(t *testing.T) {
	o, err := parse(nil, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := o.simulator
	if o.bindAddress != "127.0.0.1:9400" || s.AppID != "sim-app" || s.AppSecret != "sim-secret" || s.AccessTokenTTL != 24*time.Hour ||
		s.RefreshTokenTTL != 8760*time.Hour || s.RateLimit != 10 || s.AutoConsent {
		t.Errorf("defaults %+v", o)
	}
	env := environment("TIKTOK_OPERATOR_APP_ID", "from-env", "TIKTOK_OPERATOR_RATE_LIMIT", "5/s", "TIKTOK_OPERATOR_AUTO_CONSENT", "true",
		"TIKTOK_OPERATOR_ACCESS_TOKEN_TTL", "1m", "TIKTOK_OPERATOR_BIND_ADDRESS", ":1")
	o, err = parse([]string{"--access-token-ttl=2m", "--rate-limit=0"}, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s = o.simulator
	if s.AppID != "from-env" || s.RateLimit != 0 || !s.AutoConsent || s.AccessTokenTTL != 2*time.Minute || o.bindAddress != ":1" {
		t.Errorf("flags must win over the environment: %+v", o)
	}
	for name, tc := range map[string]struct {
		args []string
		env  []string
		says string
	}{
		"variable":   {env: []string{"TIKTOK_OPERATOR_RATE_LIMIT", "precious"}, says: "TIKTOK_OPERATOR_RATE_LIMIT"},
		"rate":       {args: []string{"--rate-limit=-1"}, says: "calls a second"},
		"rate unit":  {args: []string{"--rate-limit=10/m"}, says: "calls a second"},
		"rate NaN":   {args: []string{"--rate-limit=NaN"}, says: "calls a second"},
		"life":       {args: []string{"--access-token-ttl=10ms"}, says: "1s"},
		"no id":      {args: []string{"--app-id="}, says: "--app-id"},
		"argument":   {args: []string{"serve"}, says: "serve"},
		"wrong flag": {args: []string{"--nonsense"}, says: "nonsense"},
	} {
		_, err := parse(tc.args, environment(tc.env...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "precious") {
			t.Errorf("%s: error %v, want one that says %q", name, err, tc.says)
		}
	}
	var usage bytes.Buffer
	_, err = parse([]string{"--help"}, environment("TIKTOK_OPERATOR_APP_SECRET", "precious"), &usage)
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage.String(), "-rate-limit") || strings.Contains(usage.String(), "precious") {
		t.Errorf("error %v, help:\n%s", err, usage.String())
	}
}

// The process tells the address that port 0 gave it, serves there, and ends when it is told to, even with a call that hangs.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, stdout := io.Pipe()
	var log safeBuffer
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"--bind-address=127.0.0.1:0", "--app-secret=precious"}, environment(), stdout, &log)
		_ = stdout.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("nothing was printed: %v", <-ended)
	}
	base, found := strings.CutPrefix(lines.Text(), "TikTok simulator listening on ")
	if !found || strings.HasSuffix(base, ":0") {
		t.Fatalf("printed %q", lines.Text())
	}
	go func() {
		for lines.Scan() { // the pipe must not block
		}
	}()
	status := post(t, base+"/admin/faults", `{"endpoint":"*","hangAfterProcessing":true}`)
	if status != http.StatusOK {
		t.Fatalf("the admin API answers %d", status)
	}
	hanging := make(chan int, 1)
	go func() { hanging <- post(t, base+"/open_api/v1.3/tt_user/oauth2/revoke/", `{}`) }()
	for deadline := time.Now().Add(time.Minute); calls(t, base) == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the call does not arrive")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("error %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the process does not end")
	}
	if status := <-hanging; status != 0 {
		t.Errorf("the hanging call was answered %d", status)
	}
	if log.String() == "" || strings.Contains(log.String(), "precious") {
		t.Errorf("log:\n%s", log.String())
	}
	if err := run(t.Context(), []string{"--bind-address=127.0.0.1:x"}, environment(), io.Discard, io.Discard); err == nil {
		t.Error("a wrong address is accepted")
	}
}

// post returns the HTTP status, or 0 if there was no answer.
func post(t *testing.T, target, body string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// calls is what the simulator tells of the calls it got; "" if there were none.
func calls(t *testing.T, base string) string {
	t.Helper()
	resp, err := http.Get(base + "/admin/calls/count")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if strings.Contains(string(body), `"count":0`) {
		return ""
	}
	return string(body)
}

// safeBuffer is a bytes.Buffer that may be read while it is written.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
