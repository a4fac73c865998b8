package dispatch_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// turns serves a channel when it is told to.
type turns struct {
	mu   sync.Mutex
	term uint64
	told []func()
}

func (o *turns) Term(string) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.term
}

func (o *turns) Listen(f func()) { o.told = append(o.told, f) }

func (o *turns) set(term uint64, tell bool) {
	o.mu.Lock()
	o.term = term
	o.mu.Unlock()
	if tell {
		for _, f := range o.told {
			f()
		}
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
			now.set(uint64(turn+1), true)
			await(n / 3 * turn / 12)
			before.set(0, true)
		} else {
			before.set(0, true)
			now.set(uint64(turn+1), true)
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
