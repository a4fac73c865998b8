package ownership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		shards   int
		view     view
		claim    []int
		giveBack []int
	}{
		"alone, at the start":            {4, view{members: 1, free: []int{0, 1, 2, 3}}, []int{0, 1, 2, 3}, nil},
		"one of two claims half":         {4, view{members: 2, free: []int{0, 1, 2, 3}}, []int{0, 1}, nil},
		"from its own place on":          {4, view{members: 2, free: []int{0, 1, 2, 3}, offset: 3}, []int{3, 0}, nil},
		"rounded up, so that all are":    {4, view{members: 3, free: []int{0, 1, 2, 3}}, []int{0, 1}, nil},
		"another one came":               {4, view{members: 2, mine: []int{3, 1, 0, 2}}, nil, []int{2, 3}},
		"has its share":                  {4, view{members: 2, mine: []int{0, 1}, free: []int{2}}, nil, nil},
		"another one died":               {4, view{members: 1, mine: []int{0, 1}, free: []int{3, 2}}, []int{2, 3}, nil},
		"more replicas than shards":      {2, view{members: 5, free: []int{0, 1}}, []int{0}, nil},
		"nothing is free":                {4, view{members: 2}, nil, nil},
		"no members counts as one alone": {2, view{free: []int{0, 1}}, []int{0, 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(c.shards, c.view)
			if !slices.Equal(got.claim, c.claim) || !slices.Equal(got.giveBack, c.giveBack) {
				t.Errorf("claims %v and gives back %v, want %v and %v", got.claim, got.giveBack, c.claim, c.giveBack)
			}
		})
	}
}

// patientStore bounds nothing by the real clock: a busy machine may take longer for a round than it may last.
type patientStore struct{ Store }

func (p patientStore) All(ctx context.Context) (map[string]eventlog.Lease, error) {
	return p.Store.All(context.WithoutCancel(ctx))
}

func (p patientStore) Get(ctx context.Context, key string) (eventlog.Lease, error) {
	return p.Store.Get(context.WithoutCancel(ctx), key)
}

func (p patientStore) Put(ctx context.Context, key, holder string, revision uint64) (uint64, error) {
	return p.Store.Put(context.WithoutCancel(ctx), key, holder, revision)
}

func (p patientStore) Drop(ctx context.Context, key string, revision uint64) error {
	return p.Store.Drop(context.WithoutCancel(ctx), key, revision)
}

// brokenStore fails where it is told to: it does nothing, or it does what it is asked for, and the answer is lost.
type brokenStore struct {
	Store
	broken, mute atomic.Bool
}

func (b *brokenStore) All(ctx context.Context) (map[string]eventlog.Lease, error) {
	if b.broken.Load() || b.mute.Load() {
		return nil, errors.New("no server")
	}
	return b.Store.All(ctx)
}

func (b *brokenStore) Get(ctx context.Context, key string) (eventlog.Lease, error) {
	if b.broken.Load() || b.mute.Load() {
		return eventlog.Lease{}, errors.New("no server")
	}
	return b.Store.Get(ctx, key)
}

func (b *brokenStore) Put(ctx context.Context, key, holder string, revision uint64) (uint64, error) {
	if b.broken.Load() {
		return 0, errors.New("no server")
	}
	next, err := b.Store.Put(ctx, key, holder, revision)
	if b.mute.Load() {
		return 0, errors.New("no answer")
	}
	return next, err
}

func (b *brokenStore) Drop(ctx context.Context, key string, revision uint64) error {
	if b.broken.Load() {
		return errors.New("no server")
	}
	err := b.Store.Drop(ctx, key, revision)
	if b.mute.Load() {
		return errors.New("no answer")
	}
	return err
}

// group is a few replicas that share a real store and a clock.
type group struct {
	t     *testing.T
	clock *clocktesting.FakeClock
	store Store
}

func newGroup(t *testing.T) *group {
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := log.OpenLeases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &group{t: t, clock: clocktesting.NewFakeClock(time.Now()), store: patientStore{store}}
}

func (g *group) join(id string) (*Shared, *brokenStore) {
	g.t.Helper()
	store := &brokenStore{Store: g.store}
	s, err := New(Options{Store: store, ID: id, Clock: g.clock})
	if err != nil {
		g.t.Fatal(err)
	}
	return s, store
}

// rounds lets time pass, and the replicas renew, and checks that no channel is ever served twice.
func (g *group) rounds(n int, alive ...*Shared) {
	g.t.Helper()
	for range n {
		for _, s := range alive {
			_ = s.round(g.t.Context()) // a broken one fails
			g.exclusive(alive)
		}
		for range 3 {
			g.clock.Step(time.Second)
			g.exclusive(alive)
		}
	}
}

// pass lets a little time pass, where somebody waits for it: who works has all the time that a busy machine takes for that.
func (g *group) pass() {
	if g.clock.HasWaiters() {
		g.clock.Step(50 * time.Millisecond)
	}
}

func (g *group) exclusive(all []*Shared) {
	g.t.Helper()
	for shard := range Shards {
		var by []string
		for _, s := range all {
			s.mu.Lock()
			if s.term(shard) != 0 {
				by = append(by, s.opts.ID)
			}
			s.mu.Unlock()
		}
		if len(by) > 1 {
			g.t.Fatalf("shard %d is served by %v at once", shard, by)
		}
	}
}

func (g *group) held(want ...int) func(...*Shared) {
	return func(all ...*Shared) {
		g.t.Helper()
		var got []int
		for _, s := range all {
			got = append(got, s.Held())
		}
		if !slices.Equal(got, want) {
			g.t.Fatalf("the replicas hold %v shards, want %v", got, want)
		}
	}
}

func TestReplicasShareAndTakeOver(t *testing.T) {
	g := newGroup(t)
	a, _ := g.join("a")
	b, broken := g.join("b")
	g.rounds(1, a)
	g.held(Shards)(a)
	term := a.Term("uid")
	g.rounds(3, a, b)
	g.held(Shards/2, Shards/2)(a, b)

	// b cannot renew: it stops by its own clock before a may take over.
	broken.broken.Store(true)
	g.rounds(1, a, b)
	g.held(Shards/2, Shards/2)(a, b)
	g.rounds(2, a, b)
	g.held(Shards/2, 0)(a, b)
	g.rounds(2, a, b)
	g.held(Shards, 0)(a, b)

	// It comes back, and gets a share again, for another term.
	broken.broken.Store(false)
	g.rounds(4, a, b)
	g.held(Shards/2, Shards/2)(a, b)
	if a.Term("uid") == term && b.Term("uid") != 0 {
		t.Error("both serve a channel")
	}
	if a.Term("uid") == 0 && b.Term("uid") == 0 {
		t.Error("nobody serves a channel")
	}

	// An orderly end gives back at once.
	b.release(t.Context())
	g.rounds(1, a)
	g.held(Shards, 0)(a, b)
}

// TestOutageMovesNothing: nobody can renew for a minute. Whoever comes back first does not take what the others held.
func TestOutageMovesNothing(t *testing.T) {
	g := newGroup(t)
	a, brokenA := g.join("a")
	b, brokenB := g.join("b")
	g.rounds(4, a, b)
	served := func(s *Shared) (shards []int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for shard := range Shards {
			if s.term(shard) != 0 {
				shards = append(shards, shard)
			}
		}
		return shards
	}
	before := served(a)
	brokenA.broken.Store(true)
	brokenB.broken.Store(true)
	g.rounds(20, a, b)
	g.held(0, 0)(a, b)
	brokenA.broken.Store(false)
	g.rounds(2, a, b)
	g.held(Shards/2, 0)(a, b)
	brokenB.broken.Store(false)
	g.rounds(2, b, a)
	if after := served(a); len(before) != Shards/2 || !slices.Equal(before, after) {
		t.Errorf("it served %v, and serves %v", before, after)
	}
	g.held(Shards/2, Shards/2)(a, b)
}

// TestALostAnswerEndsNothing: renewals are stored, but their answers are lost. Nobody else has the leases then, and no term ends.
func TestALostAnswerEndsNothing(t *testing.T) {
	g := newGroup(t)
	a, store := g.join("a")
	g.rounds(1, a)
	term := a.Term("uid")
	store.mute.Store(true)
	g.rounds(1, a)
	store.mute.Store(false)
	g.rounds(3, a)
	g.held(Shards)(a)
	if now := a.Term("uid"); now != term {
		t.Errorf("term %d became %d", term, now)
	}
}

// TestLeasesAreGivenBackAfterAnOutage: the store is away just when leases are given back, for less than they last. It is tried again, whatever
// became of the first time, and what is still under way keeps its lease even where that ran out meanwhile.
func TestLeasesAreGivenBackAfterAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		mute   bool
		outage time.Duration
		busy   bool
	}{
		"nothing is done":                   {outage: 4 * time.Second},
		"answers are lost":                  {mute: true, outage: 4 * time.Second},
		"with work that takes longer":       {outage: 9 * time.Second, busy: true},
		"with work that lasts, and no word": {mute: true, outage: 9 * time.Second, busy: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t)
			s, store := g.join("a")
			g.rounds(1, s)
			w := &slowWork{channel: "uid", begun: make(chan struct{}), end: make(chan struct{})}
			if c.busy {
				s.Listen(w.listen)
			}
			fault := &store.broken
			if c.mute {
				fault = &store.mute
			}
			fault.Store(true)
			released := make(chan struct{})
			go func() { defer close(released); s.release(t.Context()) }()
			done := func() bool {
				select {
				case <-released:
					return true
				default:
					return false
				}
			}
			began := g.clock.Now()
			for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
				switch took := g.clock.Since(began); {
				case time.Now().After(deadline):
					t.Fatal("it does not end")
				case took >= c.outage+3*time.Second && c.busy:
					c.busy = false
					close(w.end)
				case took >= c.outage:
					fault.Store(false)
				}
				g.pass()
			}
			if all, err := g.store.All(t.Context()); err != nil || len(all) > 0 {
				t.Errorf("left: %d leases, %v", len(all), err)
			}
			if g.clock.Since(began) < c.outage {
				t.Error("it did not wait")
			}
		})
	}
}

// A store that stays away is not waited for longer than others wait for the leases.
func TestReleaseDoesNotWaitForever(t *testing.T) {
	g := newGroup(t)
	s, store := g.join("a")
	g.rounds(1, s)
	store.broken.Store(true)
	released := make(chan struct{})
	go func() { defer close(released); s.release(t.Context()) }()
	began := g.clock.Now()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		select {
		case <-released:
			if took := g.clock.Since(began); took > takeAfter {
				t.Errorf("it waited for %s", took)
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
		g.pass()
	}
}

func TestShardIsGivenBackAfterItsWorkHasEnded(t *testing.T) {
	g := newGroup(t)
	a, _ := g.join("a")
	b, _ := g.join("b")
	g.rounds(1, a)
	var ended atomic.Bool
	a.Listen(func(func(string) bool, time.Duration) {
		ended.Store(true)
		all, err := g.store.All(t.Context())
		for shard := range Shards {
			if holder := all[shardKey(shard)].Holder; err != nil || holder != "a" {
				t.Errorf("while its work ends, shard %d is held by %q, %v", shard, holder, err)
			}
		}
	})
	_ = b.round(t.Context())
	if err := a.round(t.Context()); err != nil || !ended.Load() {
		t.Fatalf("%v, listener called: %v", err, ended.Load())
	}
	g.held(Shards / 2)(a)
}

// slowWork is a listener that takes its time over one channel.
type slowWork struct {
	channel string
	within  atomic.Int64
	begun   chan struct{}
	end     chan struct{}
}

func (w *slowWork) listen(concerns func(string) bool, within time.Duration) {
	if !concerns(w.channel) {
		return
	}
	w.within.Store(int64(within))
	close(w.begun)
	<-w.end
}

// A lease that is given back is held and renewed for as long as something is under way on one of its channels; the others are given back at once.
func TestSlowWorkHoldsItsOwnShardAlone(t *testing.T) {
	for name, end := range map[string]bool{"another replica came": false, "this one ends": true} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t)
			a, _ := g.join("a")
			b, _ := g.join("b")
			g.rounds(1, a)
			// Of the channels that a gives back when b comes: those of the upper half of the shards.
			w := &slowWork{begun: make(chan struct{}), end: make(chan struct{})}
			for i := 0; w.channel == ""; i++ {
				if uid := "uid-" + strconv.Itoa(i); ShardOf(uid) >= Shards/2 {
					w.channel = uid
				}
			}
			a.Listen(w.listen)
			_ = b.round(t.Context())
			done := make(chan error, 1)
			go func() {
				if end {
					a.release(t.Context())
					done <- nil
					return
				}
				done <- a.round(t.Context())
			}()
			<-w.begun
			if a.Term(w.channel) != 0 {
				t.Error("it still serves the channel")
			}
			if got := time.Duration(w.within.Load()); got != giveBackWithin {
				t.Errorf("what is under way may go on for %s", got)
			}
			step := func(n int) {
				t.Helper()
				for range n {
					for deadline := time.Now().Add(time.Minute); end && !g.clock.HasWaiters(); time.Sleep(time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatal("nothing renews")
						}
					}
					g.clock.Step(renewEvery)
					if !end {
						if done != nil {
							if err := <-done; err != nil {
								t.Fatal(err)
							}
							done = nil
						}
						if err := a.round(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					if err := b.round(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			step(1)
			held := func() (shards []int) {
				all, err := g.store.All(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for shard := range Shards {
					if all[shardKey(shard)].Holder == "a" {
						shards = append(shards, shard)
					}
				}
				return shards
			}
			slow := ShardOf(w.channel)
			for range 10 { // far beyond takeAfter
				step(1)
				if got := held(); !slices.Contains(got, slow) || b.Term(w.channel) != 0 {
					t.Fatalf("a holds %v in the store while shard %d has not ended", got, slow)
				}
			}
			want := Shards/2 + 1
			if end {
				want = 1
			}
			if got := held(); len(got) != want {
				t.Fatalf("a holds %v in the store, want %d shards", got, want)
			}
			close(w.end)
			if end {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			for deadline := time.Now().Add(time.Minute); b.Term(w.channel) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the other replica does not get the channel")
				}
				if !end {
					if err := a.round(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if a.Term(w.channel) != 0 {
				t.Error("both serve the channel")
			}
		})
	}
}

func TestStartRunsByTheClockAndReleasesAtTheEnd(t *testing.T) {
	g := newGroup(t)
	s, err := New(Options{Store: g.store, ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 8)
	s.Listen(func(func(string) bool, time.Duration) {
		select {
		case changed <- struct{}{}:
		default: // at the end, each shard is told of
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	<-changed
	if s.Held() != Shards || s.Term("uid") == 0 {
		t.Errorf("holds %d", s.Held())
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	all, err := g.store.All(t.Context())
	if err != nil || len(all) != 0 || s.Held() != 0 {
		t.Errorf("left: %v, %v", fmt.Sprint(all), err)
	}
}
