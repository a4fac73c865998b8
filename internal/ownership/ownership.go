package ownership

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
	// claimEvery is how soon a replica that has less than its share looks again.
	claimEvery = time.Second
	// releaseWithin bounds the giving back at the end.
	releaseWithin = 5 * time.Second

	memberPrefix = "member."
)

// Store keeps the leases. *eventlog.Leases is one.
type Store interface {
	All(ctx context.Context) (map[string]eventlog.Lease, error)
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

// Shared is this replica's part of the work. Start runs it.
type Shared struct {
	opts Options

	mu        sync.Mutex
	listeners []func()
	held      map[int]*lease
	lastTerm  uint64

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
	return &Shared{opts: opts, held: map[int]*lease{}, seen: map[string]sighting{}}, nil
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
	if l == nil || s.opts.Clock.Since(l.renewed) >= holdFor {
		return 0
	}
	return l.term
}

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

// Listen has f called after each change of terms. A shard is given back when f has returned: until then nobody else serves its channels. It is
// to be called before Start, and f must not wait for Shared.
func (s *Shared) Listen(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

func (s *Shared) tell() {
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	for _, f := range listeners {
		f()
	}
}

// Start takes part until the context ends, and then gives everything back at once.
func (s *Shared) Start(ctx context.Context) error {
	var watching sync.WaitGroup
	expiring, stop := context.WithCancel(ctx)
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
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
		timer.Stop()
	}
	stop()
	watching.Wait()
	s.release(context.WithoutCancel(ctx))
	return nil
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
		over := 0
		for shard, l := range s.held {
			if !l.over && s.term(shard) == 0 {
				l.over = true
				over++
			}
		}
		s.mu.Unlock()
		if over > 0 {
			s.opts.Logger.Info("this replica could not renew its leases in time, and stops serving their channels", "shards", over)
			s.tell()
		}
	}
}

// release gives back everything.
func (s *Shared) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	s.mu.Lock()
	var mine []int
	for shard := range s.held {
		mine = append(mine, shard)
	}
	s.mu.Unlock()
	err := s.giveBack(ctx, mine)
	if s.member != 0 {
		err = errors.Join(err, s.opts.Store.Drop(ctx, memberPrefix+s.opts.ID, s.member))
	}
	if err != nil {
		s.opts.Logger.Info("not everything was given back; the other replicas take it over when its leases are over", "reason", err.Error())
	}
}
