package ownership

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// Shards are what is divided. More replicas than this do not help.
	Shards = 64

	renewEvery  = 3 * time.Second
	holdFor     = 7 * time.Second
	takeAfter   = 10 * time.Second
	expiryCheck = 250 * time.Millisecond
	// claimEvery is how soon a replica that has less than its share looks again, and one that ends tries again.
	claimEvery = time.Second
	// giveBackWithin is how long what is under way may go on when a lease is given back, at the end of the process too: less than it has
	// for its end. loseWithin is that of a lease that ran out: within what is between holdFor and takeAfter.
	giveBackWithin, loseWithin = 35 * time.Second, 2 * time.Second
	// endsQuickly is how long a round waits for leases that it gives back; what takes longer ends beside the next rounds.
	endsQuickly = 500 * time.Millisecond
	// dropWithin is how long it is tried, at the end of the process, to give back what nothing is under way on any more: about as long as a lease
	// lasts, which others wait for then. releaseWithin bounds all of the end: within what the process has for it.
	dropWithin, releaseWithin = holdFor, giveBackWithin + 9*time.Second

	memberPrefix = "member."
)

// Store keeps the leases. *eventlog.Leases is one.
type Store interface {
	All(ctx context.Context) (map[string]eventlog.Lease, error)
	Get(ctx context.Context, key string) (eventlog.Lease, error)
	Put(ctx context.Context, key, holder string, revision uint64) (uint64, error)
	Drop(ctx context.Context, key string, revision uint64) error
}

// Options of Shared.
type Options struct {
	Store Store
	// ID of this replica: another one after a restart.
	ID string
	// Clock; nil means the real one.
	Clock  clock.WithTicker
	Logger logr.Logger
}

// Listener is told of channels that this replica begins or ceases to serve. It returns when nothing is under way any more on those that it ceased to
// serve; what is may go on for as long as within says.
type Listener = func(concerns func(channelUID string) bool, within time.Duration)

// Shared is this replica's part of the work. Start runs it.
type Shared struct {
	opts Options

	mu        sync.Mutex
	listeners []Listener
	held      map[int]*lease
	lastTerm  uint64

	// telling are the calls of listeners, and ended is told when what was under way on a lease that is given back has ended.
	telling sync.WaitGroup
	ended   chan struct{}

	// The rest is of the goroutine of Start alone.
	member uint64
	seen   map[string]sighting
	looked time.Time
	short  bool
}

// lease is a shard that this replica holds.
type lease struct {
	term, revision uint64
	renewed        time.Time
	// over says that its end was made known.
	over bool
	// leaving says that it is being given back: it serves no more, and is held until it has ended.
	leaving, ended bool
}

// sighting is since when a record is seen unchanged.
type sighting struct {
	revision uint64
	at       time.Time
}

// New makes a Shared that holds nothing yet.
func New(opts Options) (*Shared, error) {
	if opts.Store == nil || opts.ID == "" || strings.ContainsAny(opts.ID, "* >") {
		return nil, fmt.Errorf("dividing channels among replicas needs a store and a name for this replica, not %q", opts.ID)
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	return &Shared{opts: opts, held: map[int]*lease{}, ended: make(chan struct{}, 1), seen: map[string]sighting{}}, nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica takes part.
func (*Shared) NeedLeaderElection() bool { return false }

// ShardOf is the shard of a channel.
func ShardOf(channelUID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(channelUID)) // it never fails
	return int(h.Sum32() % Shards)
}

// Term names the time for which this replica serves the channel: 0 while it does not, and another number each time it begins to.
func (s *Shared) Term(channelUID string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term(ShardOf(channelUID))
}

func (s *Shared) term(shard int) uint64 {
	l := s.held[shard]
	if l == nil || l.leaving || s.expired(l) {
		return 0
	}
	return l.term
}

func (s *Shared) expired(l *lease) bool { return s.opts.Clock.Since(l.renewed) >= holdFor }

// Held is how many shards this replica holds.
func (s *Shared) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for shard := range s.held {
		if s.term(shard) != 0 {
			n++
		}
	}
	return n
}

// Listen has f called after each change of terms, several at once if changes are. A shard is given back when f has returned: until then nobody
// else serves its channels. It is to be called before Start, and f must not wait for Shared.
func (s *Shared) Listen(f Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// tell calls the listeners beside what goes on, and then whatever is to follow.
func (s *Shared) tell(shards []int, within time.Duration, then func()) {
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	concerns := func(channelUID string) bool { return slices.Contains(shards, ShardOf(channelUID)) }
	s.telling.Go(func() {
		for _, f := range listeners {
			f(concerns, within)
		}
		if then != nil {
			then()
		}
	})
}

// Start takes part until the context ends, and then gives everything back: each lease as soon as what is under way on its channels has ended.
func (s *Shared) Start(ctx context.Context) error {
	var watching sync.WaitGroup
	expiring, stop := context.WithCancel(context.WithoutCancel(ctx))
	watching.Go(func() { s.expire(expiring) })
	for ctx.Err() == nil {
		// The timer runs from the beginning of the round: one that took long is followed by the next at once.
		wait := renewEvery
		if s.short {
			wait = claimEvery
		}
		timer := s.opts.Clock.NewTimer(wait)
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.Info("this replica cannot tell the others what it serves; trying again", "reason", err.Error())
		}
		s.awaitRound(ctx, timer.C())
		timer.Stop()
	}
	s.release(context.WithoutCancel(ctx))
	stop()
	watching.Wait()
	s.telling.Wait()
	return nil
}

// awaitRound waits for the time of the next round. What has ended meanwhile is given back.
func (s *Shared) awaitRound(ctx context.Context, next <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
			return
		case <-s.ended:
			if err := s.dropEnded(ctx); err != nil {
				s.opts.Logger.Info("a lease was not given back; trying again", "reason", err.Error())
			}
		}
	}
}

// expire makes it known when a lease is over by the clock, while renewing it may be stuck.
func (s *Shared) expire(ctx context.Context) {
	ticker := s.opts.Clock.NewTicker(expiryCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		s.mu.Lock()
		var over []int
		for shard, l := range s.held {
			if !l.over && !l.ended && s.expired(l) {
				l.over = true
				over = append(over, shard)
			}
		}
		s.mu.Unlock()
		if len(over) > 0 {
			s.opts.Logger.Info("this replica could not renew its leases in time, and stops serving their channels", "shards", len(over))
			s.tell(over, loseWithin, nil)
		}
	}
}

// release gives back everything. First the others are told that this replica does not count any more, so that they take what is given back.
func (s *Shared) release(ctx context.Context) {
	s.mu.Lock()
	var mine []int
	for shard, l := range s.held {
		if !l.leaving {
			mine = append(mine, shard)
		}
	}
	s.mu.Unlock()
	s.leave(mine)
	began := s.opts.Clock.Now()
	busy := began // the last time that something was under way
	timer := s.opts.Clock.NewTimer(claimEvery)
	defer timer.Stop()
	for renew := false; ; {
		err := s.releaseOnce(ctx, renew)
		left, underWay := s.count()
		now := s.opts.Clock.Now()
		if underWay > 0 {
			busy = now
		}
		switch {
		case err == nil && left == 0:
			return
		case now.Sub(busy) >= dropWithin, now.Sub(began) >= releaseWithin:
			if err == nil {
				err = errors.New("deliveries are still under way")
			}
			s.opts.Logger.Info("not everything was given back; the other replicas take it over when its leases are over", "reason", err.Error())
			return
		}
		select {
		case <-s.ended:
			renew = false
		case <-timer.C():
			renew = true
			timer.Reset(claimEvery)
		}
	}
}

// releaseOnce gives back what can be, and renews the leases of what is still under way, if it is to. Those that others have by now are none of this
// replica's any more.
func (s *Shared) releaseOnce(ctx context.Context, renew bool) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	var err error
	if renew {
		_, err = s.renew(ctx)
	}
	return errors.Join(err, s.leaveMembers(ctx), s.dropEnded(ctx))
}

// leaveMembers removes the record by which the others count this replica.
func (s *Shared) leaveMembers(ctx context.Context) error {
	if s.member == 0 {
		return nil
	}
	if err := s.drop(ctx, memberPrefix+s.opts.ID, s.member); err != nil {
		return fmt.Errorf("removing the record of this replica: %w", err)
	}
	s.member = 0
	return nil
}

// count is how many leases this replica has, those that it gives back among them, and on how many of these something is under way.
func (s *Shared) count() (all, underWay int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.held {
		if !l.ended {
			underWay++
		}
	}
	return len(s.held), underWay
}
