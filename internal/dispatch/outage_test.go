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

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// deaf is an event log that stores no positions while it is away, and one whose answers to that are lost while it is mute.
type deaf struct {
	*eventlog.Log
	away, mute atomic.Bool
	failed     atomic.Int32
	// refused, if not nil, is called when a position was not stored because another one was, before that is answered.
	refused atomic.Pointer[func()]
}

func (d *deaf) AdvanceSink(ctx context.Context, s eventlog.SinkState, revision uint64) (uint64, error) {
	if d.away.Load() {
		d.failed.Add(1)
		return 0, errors.New("no server")
	}
	next, err := d.Log.AdvanceSink(ctx, s, revision)
	if d.mute.Load() {
		d.failed.Add(1)
		return 0, errors.New("no answer")
	}
	if refused := d.refused.Load(); refused != nil && errors.Is(err, eventlog.ErrSinkChanged) {
		(*refused)()
	}
	return next, err
}

// twoReplicas serve one channel in turns: the first one has a deaf log and a clock that is moved by hand.
type twoReplicas struct {
	t          *testing.T
	log        *deaf
	sink       *receiver
	one, other *turns
	clock      *awaited
}

// awaited is a clock that is stepped, of which is known whether somebody waits for it: what takes the machine long takes no time of its.
type awaited struct {
	*clocktesting.FakeClock
	waiting atomic.Int32
}

func (a *awaited) After(d time.Duration) <-chan time.Time {
	a.waiting.Add(1)
	over := make(chan time.Time, 1)
	a.AfterFunc(d, func() {
		a.waiting.Add(-1)
		over <- time.Time{}
	})
	return over
}

// pass lets the time pass for which somebody waits.
func (a *awaited) pass() {
	if a.waiting.Load() > 0 {
		a.Step(50 * time.Millisecond)
	}
}

func newTwoReplicas(t *testing.T) *twoReplicas {
	t.Helper()
	opened, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	r := &twoReplicas{
		t: t, log: &deaf{Log: opened}, sink: newReceiver(t, nil), one: &turns{}, other: &turns{},
		clock: &awaited{FakeClock: clocktesting.NewFakeClock(time.Now())},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, options := range []dispatch.Options{{Log: r.log, Ownership: r.one, Clock: r.clock}, {Log: opened, Ownership: r.other}} {
		options.AllowPrivateSinks = true
		d, err := dispatch.New(options)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := d.Start(ctx); err != nil {
				t.Error(err)
			}
		})
		if err := d.Apply(ctx, channelWith(sinkOf("s", r.sink.URL))); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return r
}

func (r *twoReplicas) put(from, to int) {
	r.t.Helper()
	for i := from; i < to; i++ {
		id := "evt-" + strconv.Itoa(i)
		if _, err := r.log.Append(r.t.Context(), eventlog.Record{ID: id, App: "app", ChannelUID: uid, Body: body("im_receive_msg", id, "c")}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *twoReplicas) await(events int) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); stored(r.t, r.sink.got()) < events; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d of %d events after %s", stored(r.t, r.sink.got()), events, patience)
		}
	}
}

// cease ends the term of the first replica, while the time passes there that it waits for.
func (r *twoReplicas) cease(within time.Duration, meanwhile func()) {
	r.t.Helper()
	ceased := make(chan struct{})
	go func() { defer close(ceased); r.one.set(0, within) }()
	eventually(r.t, "it has ceased", func() bool {
		meanwhile()
		r.clock.pass()
		return closed(ceased)
	})
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// repeated is how many deliveries were not the first of their event.
func (r *twoReplicas) repeated() int {
	got := r.sink.got()
	return len(got) - len(slices.Compact(slices.Sorted(slices.Values(got))))
}

// TestHandoverWaitsForTheLog: the log stores nothing for a while, just when a replica hands a channel over. It hands over what it has done as soon
// as that can be stored, and not before, and the next one repeats nothing.
func TestHandoverWaitsForTheLog(t *testing.T) {
	for name, fault := range map[string]func(*deaf) *atomic.Bool{
		"nothing is stored": func(d *deaf) *atomic.Bool { return &d.away },
		"answers are lost":  func(d *deaf) *atomic.Bool { return &d.mute },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTwoReplicas(t)
			r.one.set(1, time.Second)
			r.put(0, 10)
			r.await(10)
			r.log.failed.Store(0)
			fault(r.log).Store(true)
			r.put(10, 20)
			r.await(20)
			eventually(t, "a position is not stored", func() bool { return r.log.failed.Load() > 0 })
			began := r.clock.Now()
			r.cease(30*time.Second, func() {
				if r.clock.Since(began) > 20*time.Second {
					fault(r.log).Store(false)
				}
			})
			r.other.set(2, time.Second)
			r.put(20, 30)
			r.await(30)
			if n := r.repeated(); n > 0 {
				t.Errorf("%d events came again: %v", n, r.sink.got())
			}
		})
	}
}

// TestHandoverAfterAnAnswerWasLost: the position that a replica is about to store meets an earlier one of its own, of which it does not know, and
// just then it is to hand the channel over.
func TestHandoverAfterAnAnswerWasLost(t *testing.T) {
	r := newTwoReplicas(t)
	r.one.set(1, time.Second)
	r.put(0, 10)
	r.await(10)
	r.log.failed.Store(0)
	r.log.mute.Store(true)
	r.put(10, 15)
	r.await(15)
	eventually(t, "an answer is lost", func() bool { return r.log.failed.Load() > 0 })
	end := func() {
		r.one.mu.Lock()
		defer r.one.mu.Unlock()
		r.one.term = 0
	}
	r.log.refused.Store(&end)
	r.log.mute.Store(false)
	r.put(15, 16)
	eventually(t, "a position is refused", func() bool { return r.one.Term(uid) == 0 })
	r.cease(time.Minute, func() {})
	r.other.set(2, time.Second)
	r.put(16, 20)
	r.await(20)
	if n := r.repeated(); n > 0 {
		t.Errorf("%d events came again: %v", n, r.sink.got())
	}
}

// TestHandoverDoesNotWaitForever: neither for a log that stays away, nor where another replica has the channel already, whose position counts.
func TestHandoverDoesNotWaitForever(t *testing.T) {
	t.Run("the log stays away", func(t *testing.T) {
		r := newTwoReplicas(t)
		r.one.set(1, time.Second)
		r.put(0, 10)
		r.await(10)
		r.log.away.Store(true)
		r.put(10, 20)
		r.await(20)
		began := r.clock.Now()
		r.cease(2*time.Second, func() {})
		if took := r.clock.Since(began); took > 10*time.Second {
			t.Errorf("it waited for %s", took)
		}
	})
	t.Run("another replica has the channel", func(t *testing.T) {
		r := newTwoReplicas(t)
		r.one.set(1, time.Second)
		r.put(0, 10)
		r.await(10)
		r.log.away.Store(true)
		r.put(10, 15)
		r.await(15)
		r.other.set(2, time.Second)
		r.put(15, 20)
		r.await(20)
		began := r.clock.Now()
		before := r.log.failed.Load()
		r.cease(time.Minute, func() { r.log.away.Store(r.log.failed.Load() == before) })
		if took := r.clock.Since(began); took > 5*time.Second {
			t.Errorf("it waited for %s", took)
		}
		eventually(t, "the position of the other one to be stored, and to stay", func() bool {
			state, _, err := r.log.LoadSink(t.Context(), uid, "s")
			return err == nil && state.Position.Sequence == 20
		})
	})
}

// TestOutageRepeatsNothing: the log stores nothing for a while, the lease lapses, and the same replica has it again: it goes on where it was. Had
// another replica served the channel meanwhile, what that one stored would count.
func TestOutageRepeatsNothing(t *testing.T) {
	for name, elsewhere := range map[string]bool{"served again": false, "served by another replica meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			r := newTwoReplicas(t)
			r.one.set(1, 2*time.Second)
			r.put(0, 10)
			r.await(10)
			r.log.away.Store(true)
			r.put(10, 20)
			r.await(20)
			r.cease(2*time.Second, func() {})
			if elsewhere {
				r.other.set(2, 2*time.Second)
				r.put(20, 25)
				r.await(25)
				r.other.set(0, 2*time.Second)
			}
			r.log.away.Store(false)
			r.one.set(3, 2*time.Second)
			r.put(25, 30)
			last := "evt-29"
			eventually(t, last, func() bool { return slices.Contains(r.sink.got(), last) })
			got, repeated := r.sink.got(), r.repeated()
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
