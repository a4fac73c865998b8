package dispatch_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// turns serves a channel when it is told to.
type turns struct {
	mu   sync.Mutex
	term uint64
	told []func(func(string) bool, time.Duration)
}

func (o *turns) Term(string) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.term
}

func (o *turns) Listen(f func(func(string) bool, time.Duration)) { o.told = append(o.told, f) }

// set begins or ends a term. What is under way may go on for a while.
func (o *turns) set(term uint64, within time.Duration) {
	o.mu.Lock()
	o.term = term
	o.mu.Unlock()
	for _, f := range o.told {
		f(func(string) bool { return true }, within)
	}
}

// A replica that ceases to serve a channel begins no more deliveries there, and waits for those that are under way: the next one repeats none.
func TestHandoverWaitsForASlowSink(t *testing.T) {
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	release := make(chan struct{})
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	clock := &awaited{FakeClock: clocktesting.NewFakeClock(time.Now())}
	one, other := &turns{}, &turns{}
	var running sync.WaitGroup
	for _, options := range []dispatch.Options{{Ownership: one, Clock: clock}, {Ownership: other}} {
		options.Log, options.AllowPrivateSinks = log, true
		d, err := dispatch.New(options)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := d.Start(ctx); err != nil {
				t.Error(err)
			}
		})
		s := sinkOf("s", rc.URL)
		s.Delivery.Timeout.Duration = time.Minute
		if err := d.Apply(ctx, channelWith(s)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	const n = 40 // of three conversations
	one.set(1, time.Second)
	for i := range n {
		id := "evt-" + strconv.Itoa(i)
		conversation := "c" + strconv.Itoa(i%3)
		if _, err := log.Append(ctx, eventlog.Record{
			ID: id, App: "app", ChannelUID: uid, Conversation: conversation, Body: body("im_receive_msg", id, conversation),
		}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "deliveries are under way", func() bool { return rc.tried() == 3 })
	ceased := make(chan struct{})
	go func() { defer close(ceased); one.set(0, 30*time.Second) }()
	eventually(t, "it waits", clock.HasWaiters)
	clock.Step(20 * time.Second)
	select {
	case <-ceased:
		t.Fatal("it waits for nothing")
	case <-time.After(100 * time.Millisecond):
	}
	if tried := rc.tried(); tried != 3 {
		t.Fatalf("%d deliveries", tried)
	}
	close(release)
	eventually(t, "it has ceased", func() bool { clock.pass(); return closed(ceased) })
	if tried := rc.tried(); tried != 3 {
		t.Fatalf("%d deliveries, although it serves the channel no more", tried)
	}
	other.set(2, time.Second)
	eventually(t, "all events", func() bool { return stored(t, rc.got()) == n })
	if got := rc.got(); len(got) != n || rc.tried() != n {
		t.Errorf("%d deliveries and %d attempts of %d events: %v", len(got), rc.tried(), n, got)
	}
}

func TestReplicasTakeTurnsInOrder(t *testing.T) {
	const n = 300
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	rc := newReceiver(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	owners := []*turns{{}, {}}
	var running sync.WaitGroup
	for _, o := range owners {
		d, err := dispatch.New(dispatch.Options{Log: log, AllowPrivateSinks: true, Ownership: o})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := d.Start(ctx); err != nil {
				t.Error(err)
			}
		})
		if err := d.Apply(ctx, channelWith(sinkOf("s", rc.URL))); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	put := func(from, to int) {
		for i := from; i < to; i++ {
			id := "evt-" + strconv.Itoa(i)
			if _, err := log.Append(ctx, eventlog.Record{ID: id, App: "app", ChannelUID: uid, Body: body("im_receive_msg", id, "c")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	await := func(events int) {
		t.Helper()
		for deadline := time.Now().Add(patience); stored(t, rc.got()) < events; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d events after %s", stored(t, rc.got()), events, patience)
			}
		}
	}
	put(0, n/3)
	if got := rc.got(); len(got) > 0 {
		t.Fatalf("nobody serves the channel, and %d events were delivered", len(got))
	}
	// Each turn ends in the midst of deliveries, in an orderly way or, every third time, by the next replica taking over unseen.
	for turn := range 12 {
		now, before := owners[turn%2], owners[(turn+1)%2]
		if turn%3 == 2 {
			now.set(uint64(turn+1), 2*time.Second)
			await(n / 3 * turn / 12)
			before.set(0, 2*time.Second)
		} else {
			before.set(0, 2*time.Second)
			now.set(uint64(turn+1), 2*time.Second)
		}
		await(n / 3 * (turn + 1) / 12)
		if turn == 4 {
			put(n/3, n)
		}
	}
	await(n)
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
	t.Log(fmt.Sprint(len(rc.got())), "deliveries of", n, "events")
}
