package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the program under test: it says when it is interrupted, and ends when its standard input does.
func TestMain(m *testing.M) {
	if os.Getenv("INTERRUPT_ME") == "" {
		os.Exit(m.Run())
	}
	ctx := untilInterrupted()
	fmt.Println("runs")
	<-ctx.Done()
	fmt.Println("interrupted")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// interruptible is the program, which was told to end but has not.
type interruptible struct {
	*exec.Cmd
	stdin io.Closer
}

func interrupted(t *testing.T, signals ...os.Signal) *interruptible {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "INTERRUPT_ME=1")
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	says := func(want string) {
		if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("it says %q (%v), want %s", got, err, want)
		}
	}
	says("runs")
	for _, s := range signals {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	says("interrupted")
	return &interruptible{cmd, stdin}
}

// TestTwoSignalsAtOnceEndInOrder sends different ones: of two equal ones, the kernel may make one.
func TestTwoSignalsAtOnceEndInOrder(t *testing.T) {
	p := interrupted(t, syscall.SIGINT, syscall.SIGTERM)
	if err := errors.Join(p.stdin.Close(), p.Wait()); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestALaterSignalEndsWhatDoesNotEnd(t *testing.T) {
	p := interrupted(t, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(time.Minute)
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("it ends with %v", err)
			}
			return
		case <-again.C:
			_ = p.Process.Signal(syscall.SIGINT) // it may have ended
		case <-deadline:
			t.Fatal("it does not end")
		}
	}
}
