package dispatch

import (
	"context"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Pauses between two counts of a backlog that grew while it was counted.
const (
	minRecount = 10 * time.Millisecond
	maxRecount = time.Second
)

// waiting is what is known of the events that were not read ahead yet, for the metrics. They are counted once, when there is a first event;
// from then on it goes by what the log tells and what is read.
type waiting struct {
	pending uint64
	// through is the sequence up to which pending was counted, not told.
	through uint64
	counted bool
	// told are the events that the log told of while they were being counted, and taken is how many were read.
	told     []uint64
	taken    uint64
	counting bool
	// stop ends the counting.
	stop context.CancelFunc
}

// tell adds an event that the log told of.
func (b *waiting) tell(sequence uint64) {
	if sequence > b.through {
		b.pending++
	}
	if b.counting {
		b.told = append(b.told, sequence)
	}
}

// take removes an event that was read.
func (b *waiting) take() {
	b.pending -= min(b.pending, 1)
	if b.counting {
		b.taken++
	}
}

// none says that all are read.
func (b *waiting) none() { b.pending = 0 }

func (b *waiting) cancel() {
	if b.stop != nil {
		b.stop()
	}
}

// settle takes over a count.
func (b *waiting) settle(n eventlog.Backlog) {
	pending := n.Count
	for _, sequence := range b.told {
		if sequence > n.Through {
			pending++
		}
	}
	b.pending, b.through, b.counted = pending-min(pending, b.taken), n.Through, n.Exact
}

// backlog is how many events wait, and since when the oldest of those that are known does; zero if there is none.
func (w *worker) backlog() (pending uint64, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.term == 0 { // another replica knows
		return 0, time.Time{}
	}
	if w.reading.more || w.reading.active { // else the log was read to its end
		pending = w.waiting.pending
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

// recount counts until it is exact: while the channel receives events at that moment, again after a pause.
func (w *worker) recount(ctx context.Context) {
	w.d.atCount(ctx, func() { w.countLanes(ctx) })
	for pause := minRecount; ; pause = min(2*pause, maxRecount) {
		var n eventlog.Backlog
		var err error
		w.d.atCount(ctx, func() {
			w.mu.Lock()
			w.waiting.told, w.waiting.taken = nil, 0
			from := w.position
			w.mu.Unlock()
			n, err = w.d.opts.Log.Pending(ctx, w.uid, from)
		})
		w.mu.Lock()
		if err == nil && ctx.Err() == nil {
			w.waiting.settle(n)
		}
		over := n.Exact || err != nil || w.stopped || ctx.Err() != nil || w.d.stopping()
		if over {
			w.waiting.counting, w.waiting.told = false, nil
		}
		w.mu.Unlock()
		if over {
			return
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
func (w *worker) countLanes(ctx context.Context) {
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
			return
		}
		w.mu.Lock()
		if l := p.lane; l.uncounted && l.first == p.first {
			w.lose(l.count(n))
		}
		w.mu.Unlock()
	}
}
