package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

// A manager whose journal cannot be written begins no refresh: it is not ready, though alive, until the journal can be written again.
func TestNotReadyWhileTheJournalCannotBeWritten(t *testing.T) {
	ns := scope(t, "own")
	dir := filepath.Join(t.TempDir(), "journal")
	m := startManager(t, "--namespace="+ns[0], "--journal-dir="+dir)
	m.Ready(m.probes)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	m.Eventually("the probes to answer that the journal cannot be written", func() string {
		status, body := processtest.Get(t, "http://"+m.probes+"/readyz")
		if status == http.StatusInternalServerError && strings.Contains(body, "[-]journal failed") {
			return ""
		}
		return fmt.Sprintf("%d %s", status, body)
	})
	if status, body := processtest.Get(t, "http://"+m.probes+"/healthz"); status != http.StatusOK {
		t.Errorf("a process whose volume a new container would have again is not alive: %d %s", status, body)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	m.Ready(m.probes)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the check leaves %v behind: %v", left, err)
	}
	m.Ends()
}

func TestJournalIsAskedSeldom(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	asked, broken := 0, errors.New("no space left on device")
	var answer error
	c := &journalCheck{clock: clock, check: func() error { asked++; return answer }}
	for _, tt := range []struct {
		after  time.Duration
		answer error
		want   error
		asked  int
	}{
		{0, nil, nil, 1},
		{journalCheckedEvery - time.Second, broken, nil, 1},
		{time.Second, broken, broken, 2},
		{journalCheckedEvery / 2, nil, broken, 2},
		{journalCheckedEvery, nil, nil, 3},
	} {
		clock.Step(tt.after)
		answer = tt.answer
		if got := c.ready(nil); !errors.Is(got, tt.want) || asked != tt.asked {
			t.Errorf("%s later it is %v, after %d questions; want %v after %d", tt.after, got, asked, tt.want, tt.asked)
		}
	}
}

// A volume that hangs holds up one probe, not all.
func TestProbesDoNotPileUpBehindTheJournal(t *testing.T) {
	hangs, goOn := make(chan struct{}), make(chan struct{})
	c := &journalCheck{clock: clocktesting.NewFakeClock(time.Now()), check: func() error { close(hangs); <-goOn; return nil }}
	first := make(chan error, 1)
	go func() { first <- c.ready(nil) }()
	<-hangs
	if err := c.ready(nil); err == nil {
		t.Error("a volume that does not answer is taken for a good one")
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
