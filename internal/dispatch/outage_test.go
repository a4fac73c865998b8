package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// deaf is an event log that stores no positions while it is away.
type deaf struct {
	*eventlog.Log
	away atomic.Bool
}

func (d *deaf) AdvanceSink(ctx context.Context, s eventlog.SinkState, revision uint64) (uint64, error) {
	if d.away.Load() {
		return 0, errors.New("no server")
	}
	return d.Log.AdvanceSink(ctx, s, revision)
}

// TestOutageRepeatsNothing: the log stores nothing for a while, the lease lapses, and the same replica has it again: it goes on where it was. Had
// another replica served the channel meanwhile, what that one stored would count.
func TestOutageRepeatsNothing(t *testing.T) {
	for name, elsewhere := range map[string]bool{"served again": false, "served by another replica meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			opened, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = opened.Close() })
			log := &deaf{Log: opened}
			rc := newReceiver(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			replica := func(l dispatch.EventLog) *turns {
				o := &turns{}
				d, err := dispatch.New(dispatch.Options{Log: l, AllowPrivateSinks: true, Ownership: o})
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
				return o
			}
			one, other := replica(log), replica(opened)
			t.Cleanup(func() { cancel(); running.Wait() })
			put := func(from, to int) {
				t.Helper()
				for i := from; i < to; i++ {
					id := "evt-" + strconv.Itoa(i)
					if _, err := opened.Append(ctx, eventlog.Record{ID: id, App: "app", ChannelUID: uid, Body: body("im_receive_msg", id, "c")}); err != nil {
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
			one.set(1, 2*time.Second)
			put(0, 10)
			await(10)
			log.away.Store(true)
			put(10, 20)
			await(20)
			one.set(0, 2*time.Second)
			if elsewhere {
				other.set(2, 2*time.Second)
				put(20, 25)
				await(25)
				other.set(0, 2*time.Second)
			}
			log.away.Store(false)
			one.set(3, 2*time.Second)
			put(25, 30)
			last := "evt-29"
			for deadline := time.Now().Add(patience); !slices.Contains(rc.got(), last); time.Sleep(2 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s did not come: %v", last, rc.got())
				}
			}
			got := rc.got()
			repeated := len(got) - len(slices.Compact(slices.Sorted(slices.Values(got))))
			switch {
			case !elsewhere && repeated > 0:
				t.Errorf("%d events came again: %v", repeated, got)
			case elsewhere && repeated > 20: // what it could not know, but nothing of what the other one did
				t.Errorf("%d events came again: %v", repeated, got)
			}
			if i := slices.Index(got, "evt-25"); i < 0 || slices.Contains(got[i:], "evt-24") {
				t.Errorf("events of before came again at the end: %v", got)
			}
		})
	}
}
