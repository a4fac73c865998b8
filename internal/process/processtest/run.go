package processtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// patience is how long a test waits for what takes much less.
const patience = time.Minute

// Result is what a process left behind.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs the binary, which is expected to end by itself, with nothing in its environment but env.
func (s *Suite) Run(t *testing.T, env []string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...) //nolint:gosec // our own
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{"HOME=" + t.TempDir()}, env...), &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v does not end by itself; stderr:\n%s", args, stderr.String())
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("running %v: %v", args, err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// Complains asserts that the process ended with a code and one sentence on stderr that holds all texts, beside log entries below the level
// of an error, and with no stack trace.
func (r Result) Complains(t *testing.T, binary string, code int, texts ...string) {
	t.Helper()
	var complaints []string
	for line := range strings.Lines(r.Stderr) {
		if !strings.HasPrefix(line, `{"level":"info"`) {
			complaints = append(complaints, strings.TrimSpace(line))
		}
	}
	if r.Code != code || len(complaints) != 1 || r.Stdout != "" {
		t.Fatalf("exit code %d, stdout %q, stderr:\n%s\nwant code %d and one line on stderr", r.Code, r.Stdout, r.Stderr, code)
	}
	if !strings.HasPrefix(complaints[0], binary+": ") || strings.Contains(r.Stderr, "goroutine ") || strings.Contains(r.Stderr, "stacktrace") {
		t.Errorf("stderr is no sentence of %s:\n%s", binary, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(complaints[0], text) {
			t.Errorf("stderr is %q, want it to say %q", complaints[0], text)
		}
	}
}

// Running is the binary while it serves.
type Running struct {
	*program.Process
	t    *testing.T
	log  string
	told bool
}

// Start starts the binary. It is killed at the end of the test, which shows its log if it failed.
func (s *Suite) Start(t *testing.T, args ...string) *Running {
	t.Helper()
	r := &Running{t: t, log: filepath.Join(t.TempDir(), "log")}
	p, err := program.Start(s.binary, r.log, args...)
	if err != nil {
		t.Fatal(err)
	}
	r.Process = p
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", filepath.Base(s.binary), r.Log())
		}
	})
	return r
}

// Log is what it printed.
func (r *Running) Log() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Eventually waits until done, which says what it waits for, returns "". The test fails if the process ends meanwhile.
func (r *Running) Eventually(what string, done func() string) {
	r.t.Helper()
	last := ""
	err := program.Wait(r.t.Context(), patience, what, func() (bool, error) {
		if last = done(); last == "" {
			return true, nil
		}
		select {
		case <-r.Done():
			return false, errors.New("the process has ended")
		default:
			return false, nil
		}
	})
	if err != nil {
		r.t.Fatalf("%v: %s", err, last)
	}
}

// Terminate tells the process to end (SIGTERM). A second time would end it at once.
func (r *Running) Terminate() {
	r.told = true
	r.Signal(syscall.SIGTERM)
}

// Ends tells the process to end, if Terminate did not, and waits until it has; the end must be a good one.
func (r *Running) Ends() {
	r.t.Helper()
	if !r.told {
		r.Terminate()
	}
	select {
	case <-r.Done():
	case <-r.t.Context().Done():
	case <-clock.RealClock{}.After(patience):
		r.t.Errorf("the process does not end")
	}
	if err := r.Stop(time.Second); err != nil {
		r.t.Error(err)
	}
}

// Addresses are n free ones on loopback.
func Addresses(t *testing.T, n int) []string {
	t.Helper()
	ports, err := program.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	addresses := make([]string, n)
	for i, port := range ports {
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return addresses
}
