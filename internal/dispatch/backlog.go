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

// waiting is what is known of the events that wait for a sink, for the metrics. It is counted once, when there is a first event; from then on
// it goes by what the log tells and what the sink takes.
type waiting struct {
	pending uint64
	// since is when the oldest was stored.
	since time.Time
	// through is the sequence up to which pending was counted, not told.
	through  uint64
	counted  bool
	counting bool
	// told are the events that the log told of while they were being counted, and taken is how many the sink took.
	told  []uint64
	taken uint64
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

// take removes an event that is done with.
func (b *waiting) take() {
	b.pending -= min(b.pending, 1)
	if b.counting {
		b.taken++
	}
}

// none says that the sink is at the log's end.
func (b *waiting) none() { b.pending, b.since = 0, time.Time{} }

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

// backlog is how many events wait, and since when the oldest does; zero if none is known to.
func (w *worker) backlog() (pending uint64, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting.pending, w.waiting.since
}

// inHand notes the event that is being delivered. With its first event, a worker counts how many wait, beside the delivery.
func (w *worker) inHand(event *eventlog.Stored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting.since = event.StoredAt
	w.waiting.pending = max(w.waiting.pending, 1)
	if w.waiting.counted || w.waiting.counting || w.stopped {
		return
	}
	attempts, ok := w.d.begin()
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(attempts)
	w.cancelCount, w.waiting.counting = cancel, true
	w.done.Add(1)
	go func() {
		defer w.d.group.Done()
		defer w.done.Done()
		defer cancel()
		w.count(ctx)
	}()
}

// count counts until it is exact: while the channel receives events at that moment, again after a pause.
func (w *worker) count(ctx context.Context) {
	for pause := minRecount; ; pause = min(2*pause, maxRecount) {
		w.mu.Lock()
		w.waiting.told, w.waiting.taken = nil, 0
		from := w.position
		w.mu.Unlock()
		n, err := w.d.opts.Log.Pending(ctx, w.uid, from)
		w.mu.Lock()
		if err == nil {
			w.waiting.settle(n)
		}
		done := n.Exact || err != nil || w.stopped || w.d.stopping()
		w.waiting.counting = !done
		w.mu.Unlock()
		if done {
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

// advance moves the position past an event that is done with.
func (w *worker) advance(event *eventlog.Stored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.position = eventlog.Position{Sequence: event.Sequence}
	w.waiting.take()
}
