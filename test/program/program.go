// Package program builds and runs the project's own binaries for the demo and for the suites that need real processes: ones that can be
// killed, measured and read. Everything it starts belongs to its caller, who stops it.
package program

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const module = "github.com/tiktok-operator/tiktok-operator"

// Built names a folder of binaries that were built from this checkout already, as make test does: linking them takes longer than many a test.
const Built = "BUILT_PROGRAMS"

// others are the binaries that are not in cmd.
var others = map[string]string{"demo": "/hack/demo", "nats-server": "/test/nats-server"}

// Build makes binaries in dir; or it has them from the folder that Built names. It must run inside the checkout.
// extra are arguments of go build, such as -race.
func Build(ctx context.Context, dir string, names []string, extra ...string) error {
	built := os.Getenv(Built)
	for _, name := range names {
		to, from := filepath.Join(dir, name), filepath.Join(built, name)
		if _, err := os.Stat(from); built != "" && err == nil && len(extra) == 0 { //nolint:gosec // make test names the folder
			if err := os.Symlink(from, to); err != nil {
				return fmt.Errorf("taking %s: %w", name, err)
			}
			continue
		}
		source := "/cmd/" + name
		if other, ok := others[name]; ok {
			source = other
		}
		args := append([]string{"build", "-buildvcs=false", "-o", to}, extra...)
		cmd := exec.CommandContext(ctx, "go", append(args, module+source)...) //nolint:gosec // our own
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// Process is a running binary.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
	once sync.Once
	err  error // of Wait, once done is closed
}

// Start runs a binary with its output appended to a file.
func Start(path, logFile string, args ...string) (*Process, error) {
	return StartWith(nil, path, logFile, args...)
}

// StartWith is Start with variables of the environment, NAME=value, besides those of this process.
func StartWith(env []string, path, logFile string, args ...string) (*Process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a log file: %w", err)
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // our own; it ends by a signal
	p := &Process{name: filepath.Base(path), cmd: cmd, log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if len(env) > 0 {
		p.cmd.Env = append(os.Environ(), env...)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the caller, who stops the others in order
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", p.name, err), log.Close())
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is the end of what it has written, in 64 KiB.
func (p *Process) Output() string {
	const most = 64 << 10
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; to an ended process it does nothing.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Stop asks the process to end (SIGTERM) and kills it after a grace period. Its error says that it ended badly or had to be killed; a process
// that was killed before ends well.
func (p *Process) Stop(grace time.Duration) (err error) {
	p.once.Do(func() {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
			if p.err != nil {
				err = fmt.Errorf("%s ended badly: %w", p.name, p.err)
			}
		case <-time.After(grace):
			_ = p.cmd.Process.Kill()
			<-p.done
			err = fmt.Errorf("%s had to be killed after %s", p.name, grace)
		}
	})
	return err
}

// Kill ends the process at once (SIGKILL) and waits until it has.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
}

// firstPort and pastPorts bound what Ports hands out: below what Linux, macOS and Windows give by themselves to connections and to listeners on
// port 0. A port of theirs that was free a moment ago may be anyone's when the program that it was meant for starts.
const firstPort, pastPorts = 12_000, 32_000

// given are the ports that Ports has found: one is free until the program that it was meant for has started, and while it is restarted.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Ports finds free ports on loopback, and none that it has found before.
func Ports(n int) ([]int, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	ports, held := make([]int, 0, n), make([]net.Listener, 0, n)
	defer func() {
		for _, l := range held {
			_ = l.Close() // only its number is wanted
		}
	}()
	var taken error
	for range 100 * n {
		port := firstPort + rand.IntN(pastPorts-firstPort)             //nolint:gosec // that others choose other ones is all that is wanted
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // at once
		if err != nil {
			taken = err
			continue
		}
		held = append(held, l)
		if given.ports[port] {
			continue
		}
		given.ports[port] = true
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding %d free ports: %w", n, taken)
}

// Wait polls until done says so, for at most limit. An error of done ends it.
func Wait(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain for %s", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
