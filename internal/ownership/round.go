package ownership

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	shardPrefix = "shard."
	// roundTimeout bounds one round, so that a server that does not answer is asked again while leases may still be saved.
	roundTimeout = 2500 * time.Millisecond
	// writesAtOnce is how many leases are written at once.
	writesAtOnce = 8
)

func shardKey(shard int) string { return shardPrefix + strconv.Itoa(shard) }

// round renews what this replica holds, looks at the others, and claims or gives back.
func (s *Shared) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	// Renewing comes first, and needs nothing but itself to work.
	lost, err := s.renew(ctx)
	if len(lost) > 0 {
		s.opts.Logger.Info("another replica has taken over channels of this one", "shards", len(lost))
		s.tell(lost, loseWithin, nil)
	}
	if err != nil {
		return err
	}
	if err := s.dropEnded(ctx); err != nil {
		return err
	}
	all, err := s.opts.Store.All(ctx)
	if err != nil {
		return err
	}
	if err := s.renewMember(ctx, all); err != nil {
		return err
	}
	d := decide(Shards, s.look(all))
	if err := s.giveBack(ctx, d.giveBack); err != nil {
		return err
	}
	return s.claim(ctx, all, d.claim)
}

// renewMember renews the record by which the others count this replica.
func (s *Shared) renewMember(ctx context.Context, all map[string]eventlog.Lease) error {
	key := memberPrefix + s.opts.ID
	revision, err := s.opts.Store.Put(ctx, key, s.opts.ID, all[key].Revision)
	if err != nil {
		return fmt.Errorf("renewing the record of this replica: %w", err)
	}
	s.member = revision
	return nil
}

// renew renews the leases, and forgets those that others have.
func (s *Shared) renew(ctx context.Context) (lost []int, err error) {
	type renewal struct {
		shard    int
		revision uint64
	}
	s.mu.Lock()
	var renewals []renewal
	for shard, l := range s.held {
		switch {
		case l.ended: // it is about to be dropped
		case s.expired(l) && !l.leaving: // it is claimed anew, for another term
			delete(s.held, shard)
			lost = append(lost, shard)
		default: // what ends is held as long as nobody else has it: it may have something left to store
			renewals = append(renewals, renewal{shard, l.revision})
		}
	}
	s.mu.Unlock()
	var mu sync.Mutex
	each(renewals, func(r renewal) {
		before := s.opts.Clock.Now()
		revision, putErr := s.put(ctx, shardKey(r.shard), r.revision)
		mu.Lock()
		defer mu.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case putErr == nil:
			s.held[r.shard].revision = revision
			if !s.expired(s.held[r.shard]) { // else it was over in between, and stays so
				s.held[r.shard].renewed = before
			}
		case errors.Is(putErr, eventlog.ErrLeaseChanged):
			delete(s.held, r.shard)
			lost = append(lost, r.shard)
		default:
			err = fmt.Errorf("renewing a lease: %w", putErr)
		}
	})
	return lost, err
}

// look finds out who lives and what is free.
func (s *Shared) look(all map[string]eventlog.Lease) view {
	now := s.opts.Clock.Now()
	offset := fnv.New32a()
	_, _ = offset.Write([]byte(s.opts.ID)) // it never fails
	v := view{members: 1, offset: int(offset.Sum32() % Shards)}
	if now.Sub(s.looked) > renewEvery+roundTimeout {
		// Nobody could be seen to renew, perhaps because nobody could: after an outage, who held a lease has the time to renew it. So an
		// outage moves no channels, which would repeat what could not be noted meanwhile.
		clear(s.seen)
	}
	s.looked = now
	for key := range s.seen {
		if _, ok := all[key]; !ok {
			delete(s.seen, key)
		}
	}
	for key, l := range all {
		if s.seen[key].revision != l.Revision {
			s.seen[key] = sighting{l.Revision, now}
		}
		if strings.HasPrefix(key, memberPrefix) && l.Holder != s.opts.ID && s.alive(key, now) {
			v.members++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for shard := range Shards {
		key := shardKey(shard)
		l, ok := all[key]
		switch {
		case s.held[shard] != nil && s.held[shard].leaving: // it is given back, once that has ended
		case s.held[shard] != nil:
			v.mine = append(v.mine, shard)
		case !ok, l.Holder == s.opts.ID, !s.alive(key, now):
			v.free = append(v.free, shard)
		}
	}
	return v
}

// alive says that a record was seen to change within takeAfter.
func (s *Shared) alive(key string, now time.Time) bool { return now.Sub(s.seen[key].at) < takeAfter }

func (s *Shared) claim(ctx context.Context, all map[string]eventlog.Lease, shards []int) error {
	var mu sync.Mutex
	var gained []int
	var failed error
	each(shards, func(shard int) {
		before := s.opts.Clock.Now()
		key := shardKey(shard)
		revision, err := s.opts.Store.Put(ctx, key, s.opts.ID, all[key].Revision)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			s.mu.Lock()
			s.lastTerm++
			s.held[shard] = &lease{term: s.lastTerm, revision: revision, renewed: before}
			s.mu.Unlock()
			gained = append(gained, shard)
		case errors.Is(err, eventlog.ErrLeaseChanged): // another replica was faster
		default:
			failed = fmt.Errorf("claiming a lease: %w", err)
		}
	})
	s.short = len(gained) < len(shards)
	if len(gained) > 0 {
		s.opts.Logger.Info("this replica serves more channels from now on", "shards", len(gained))
		s.tell(gained, loseWithin, nil)
	}
	return failed
}

// giveBack ends the serving of shards, then lets others have them. What does not end quickly is given back later.
func (s *Shared) giveBack(ctx context.Context, shards []int) error {
	if len(shards) == 0 {
		return nil
	}
	timer := s.opts.Clock.NewTimer(endsQuickly)
	defer timer.Stop()
	select {
	case <-s.leave(shards):
	case <-timer.C():
	case <-ctx.Done():
	}
	return s.dropEnded(ctx)
}

// leave ends the serving of shards. They are held, and renewed, until what is under way there has ended, each by itself. The channel is closed
// when all have.
func (s *Shared) leave(shards []int) <-chan struct{} {
	var ending sync.WaitGroup
	for _, shard := range shards {
		s.mu.Lock()
		l := s.held[shard]
		l.leaving = true
		s.mu.Unlock()
		ending.Add(1)
		s.tell([]int{shard}, giveBackWithin, func() {
			defer ending.Done()
			s.mu.Lock()
			l.ended = true
			s.mu.Unlock()
			select {
			case s.ended <- struct{}{}:
			default:
			}
		})
	}
	all := make(chan struct{})
	go func() {
		ending.Wait()
		close(all)
	}()
	return all
}

// dropEnded lets others have the shards on which nothing is under way any more. One that cannot be given back is tried again the next time, unless
// it has run out by then, and another replica has it.
func (s *Shared) dropEnded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	revisions := map[int]uint64{}
	s.mu.Lock()
	for shard, l := range s.held {
		if l.ended {
			revisions[shard] = l.revision
		}
	}
	s.mu.Unlock()
	var failed error
	each(slices.Collect(maps.Keys(revisions)), func(shard int) {
		err := s.drop(ctx, shardKey(shard), revisions[shard])
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			failed = fmt.Errorf("giving back a lease: %w", err)
			return
		}
		delete(s.held, shard)
	})
	return failed
}

// put writes a record of this replica in place of the one of the revision.
func (s *Shared) put(ctx context.Context, key string, revision uint64) (next uint64, err error) {
	err = s.write(ctx, key, revision, func(revision uint64) (err error) {
		next, err = s.opts.Store.Put(ctx, key, s.opts.ID, revision)
		return err
	})
	return next, err
}

// drop removes a record of this replica. One that is another's by now, or gone, is as good.
func (s *Shared) drop(ctx context.Context, key string, revision uint64) error {
	err := s.write(ctx, key, revision, func(revision uint64) error { return s.opts.Store.Drop(ctx, key, revision) })
	if errors.Is(err, eventlog.ErrLeaseChanged) {
		return nil
	}
	return err
}

// write changes the record that this replica wrote at a revision. Where the record was changed since, that may have been this replica, by a write
// whose answer was lost with the server that took it: then it is that one that is changed.
func (s *Shared) write(ctx context.Context, key string, revision uint64, change func(revision uint64) error) error {
	err := change(revision)
	if !errors.Is(err, eventlog.ErrLeaseChanged) {
		return err
	}
	found, readErr := s.opts.Store.Get(ctx, key)
	switch {
	case readErr != nil:
		return readErr
	case found.Holder != "" && found.Revision <= revision:
		return &eventlog.UnavailableError{Doing: "reading who serves what", Err: errors.New("the server that answers lags behind the others")}
	case found.Holder != s.opts.ID:
		return err
	}
	return change(found.Revision)
}

// each calls f for all, several at a time, and returns when it has for all.
func each[T any](all []T, f func(T)) {
	var running sync.WaitGroup
	slots := make(chan struct{}, writesAtOnce)
	for _, one := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			f(one)
		})
	}
	running.Wait()
}
