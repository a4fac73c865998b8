package dispatch

import (
	"context"
	"maps"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Pauses between two counts of a backlog that grew while it was counted, or that the log could not count.
const (
	minRecount  = 10 * time.Millisecond
	maxRecount  = time.Second
	failRecount = 30 * time.Second
)

// waiting is what is known of the events that were not read ahead yet, for the metrics. They are counted once, when there is a first event;
// from then on it goes by what the log tells and what is read.
type waiting struct {
	// pending is below zero for a moment where events were read before the log told of them.
	pending int64
	// through is the sequence up to which pending was counted, not told.
	through uint64
	counted bool
	// newest is the newest event that the log told of, and early are newer ones that were read already.
	newest uint64
	early  map[uint64]struct{}
	// told are the events that the log told of while they were being counted, and taken those that were read.
	told, taken []uint64
	counting    bool
	// stop ends the counting.
	stop context.CancelFunc
}

// maxEarly bounds what is remembered of events that the log may never tell of.
const maxEarly = 1000

// tell adds an event that the log told of.
func (b *waiting) tell(sequence uint64) {
	b.newest = max(b.newest, sequence)
	if b.counting {
		b.told = append(b.told, sequence)
	}
	if _, early := b.early[sequence]; early {
		delete(b.early, sequence)
	} else if sequence > b.through {
		b.pending++
	}
}

// take removes an event that was read.
func (b *waiting) take(sequence uint64) {
	if b.counting {
		b.taken = append(b.taken, sequence)
	}
	if sequence <= max(b.newest, b.through) {
		b.pending--
		return
	}
	if b.early == nil || len(b.early) >= maxEarly {
		b.early = map[uint64]struct{}{}
	}
	b.early[sequence] = struct{}{}
}

// waits is how many events wait.
func (b *waiting) waits() uint64 { return uint64(max(b.pending, 0)) }

// none says that all are read.
func (b *waiting) none() { b.pending = 0 }

func (b *waiting) cancel() {
	if b.stop != nil {
		b.stop()
	}
}

// settle takes over a count.
func (b *waiting) settle(n eventlog.Backlog) {
	told := map[uint64]bool{}
	for _, sequence := range b.told {
		told[sequence] = true
	}
	b.pending = int64(n.Count)
	for _, sequence := range b.taken {
		_, early := b.early[sequence]
		switch {
		case sequence <= n.Through:
			b.pending--
		case told[sequence]:
			delete(told, sequence)
		case !early: // it will be told of
			b.pending--
		}
	}
	for sequence := range told {
		if sequence > n.Through {
			b.pending++
		}
	}
	maps.DeleteFunc(b.early, func(sequence uint64, _ struct{}) bool { return sequence <= n.Through })
	b.through, b.counted = n.Through, n.Exact
}

// backlog is how many events wait, and since when the oldest of those that are known does; zero if there is none.
func (w *worker) backlog() (pending uint64, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.term == 0 { // another replica knows
		return 0, time.Time{}
	}
	if w.reading.more || w.reading.active { // else the log was read to its end
		pending = w.waiting.waits()
	}
	for _, l := range w.lanes {
		pending += l.waiting()
		if !l.since.IsZero() && (since.IsZero() || l.since.Before(since)) {
			since = l.since
		}
	}
	return pending, since
}

// count counts what waits, beside the deliveries, unless that is known. w.mu is held.
func (w *worker) count() {
	if w.waiting.counted || w.waiting.counting {
		return
	}
	w.waiting.counting = w.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w.mu.Lock()
		w.waiting.stop = cancel
		w.mu.Unlock()
		w.recount(ctx)
	})
}

// recount counts until it is exact: while the channel receives events at that moment, again after a pause. So it does where the log cannot count:
// of a sink that is down nothing is read that would have it counted later.
func (w *worker) recount(ctx context.Context) {
	for pause := minRecount; ; pause *= 2 {
		var n eventlog.Backlog
		var err error
		w.d.atCount(ctx, func() {
			if err = w.countLanes(ctx); err != nil {
				return
			}
			w.mu.Lock()
			w.waiting.told, w.waiting.taken = nil, nil
			from := w.position
			w.mu.Unlock()
			n, err = w.d.opts.Log.Pending(ctx, w.uid, from)
		})
		w.mu.Lock()
		if err == nil && ctx.Err() == nil {
			w.waiting.settle(n)
		}
		over := n.Exact || w.stopped || ctx.Err() != nil || w.d.stopping()
		if over {
			w.waiting.counting, w.waiting.told, w.waiting.taken = false, nil, nil
		}
		w.mu.Unlock()
		if over {
			return
		}
		if err != nil {
			pause = min(pause, failRecount)
		} else {
			pause = min(pause, maxRecount)
		}
		again := make(chan struct{})
		timer := w.d.opts.Clock.AfterFunc(pause, func() { close(again) })
		select {
		case <-again:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// atCount calls f when it is its turn to count, unless the context ends before.
func (d *Dispatcher) atCount(ctx context.Context, f func()) {
	select {
	case d.counting <- struct{}{}:
		defer func() { <-d.counting }()
		f()
	case <-ctx.Done():
	}
}

// countLanes counts the events of lanes that were taken over from a stored state.
func (w *worker) countLanes(ctx context.Context) error {
	type part struct {
		*lane
		first, last uint64
	}
	w.mu.Lock()
	var parts []part
	for _, l := range w.lanes {
		if l.uncounted {
			parts = append(parts, part{l, l.first, l.through})
		}
	}
	w.mu.Unlock()
	for _, p := range parts {
		n, err := w.d.opts.Log.CountLane(ctx, w.uid, p.key, p.first, p.last)
		if err != nil {
			return err
		}
		w.mu.Lock()
		if l := p.lane; l.uncounted && l.first == p.first {
			w.lose(l.count(n))
		}
		w.mu.Unlock()
	}
	return nil
}
