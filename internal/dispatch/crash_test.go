package dispatch_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	childDir  = "DISPATCH_TEST_CHILD_DIR"
	childSink = "DISPATCH_TEST_CHILD_SINK"
	childPut  = "DISPATCH_TEST_CHILD_PUT"
)

// TestMain becomes the process that is killed, if asked to: a dispatcher with one sink.
func TestMain(m *testing.M) {
	if os.Getenv(childDir) == "" {
		os.Exit(m.Run())
	}
	if err := child(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(ctx context.Context) error {
	log, err := eventlog.Open(ctx, eventlog.Options{DataDir: os.Getenv(childDir)})
	if err != nil {
		return err
	}
	d, err := dispatch.New(dispatch.Options{Log: log, AllowPrivateSinks: true})
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() { done <- d.Start(ctx) }()
	if err := d.Apply(ctx, channelWith(sinkOf("s", os.Getenv(childSink)))); err != nil {
		return err
	}
	n, _ := strconv.Atoi(os.Getenv(childPut))
	for i := range n {
		id := "evt-" + strconv.Itoa(i)
		if _, err := log.Append(ctx, eventlog.Record{ID: id, App: "app", ChannelUID: uid, Body: body("im_receive_msg", id, "c")}); err != nil {
			return err
		}
	}
	return <-done
}

func TestKilledDispatcherDeliversEverythingInOrder(t *testing.T) {
	const n = 400
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt%9 == 0 {
			w.WriteHeader(500)
		}
	})
	dir := t.TempDir()
	for round := range 4 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childDir+"="+dir, childSink+"="+rc.URL)
		if round == 0 {
			c.Env = append(c.Env, childPut+"="+strconv.Itoa(n))
		}
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() { defer close(exited); _ = c.Wait() }()
		enough := func() bool {
			got := rc.got()
			switch {
			case round == 0:
				return len(got) >= 150 && stored(t, got) >= 150
			case round < 3:
				return stored(t, got) >= 150+60*round
			default:
				return stored(t, got) == n
			}
		}
		for deadline := time.Now().Add(patience); !enough(); time.Sleep(2 * time.Millisecond) {
			select {
			case <-exited:
				t.Fatal("the child ended by itself")
			default:
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %d of %d events after %s", round, stored(t, rc.got()), n, patience)
			}
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-exited
		if round == 0 { // the child may have been killed before it had put all events: the rest was never acknowledged
			log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				id := "evt-" + strconv.Itoa(i)
				if _, err := log.Append(t.Context(), eventlog.Record{ID: id, App: "app", ChannelUID: uid, Body: body("im_receive_msg", id, "c")}); err != nil {
					t.Fatal(err)
				}
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// In order: a number follows its predecessor, or repeats one that came before.
	highest := -1
	for _, id := range rc.got() {
		k, err := strconv.Atoi(strings.TrimPrefix(id, "evt-"))
		if err != nil {
			t.Fatal(err)
		}
		if k > highest+1 {
			t.Fatalf("event %d came before event %d", k, highest+1)
		}
		highest = max(highest, k)
	}
	t.Logf("%d deliveries of %d events", len(rc.got()), n)
	if extra := len(rc.got()) - n; extra > n/2 {
		t.Errorf("%d repeated deliveries for three kills", extra)
	}
}

// stored is how many of the events were taken, repeats not counted.
func stored(t *testing.T, ids []string) int {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	return len(seen)
}
