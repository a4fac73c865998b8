package dispatch

import (
	"context"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// audit looks for events that the log no longer keeps although a sink has not taken them, until the context ends. What is read says so by itself;
// this is for what is not: of sinks that are suspended, or down for longer than the log keeps events.
func (d *Dispatcher) audit(ctx context.Context) {
	for {
		next := make(chan struct{})
		timer := d.opts.Clock.AfterFunc(auditInterval, func() { close(next) })
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-next:
		}
		oldest, err := d.opts.Log.OldestSequence(ctx)
		if err != nil {
			d.opts.Logger.V(1).Info("what the event log still keeps is not known; it is asked again", "reason", err.Error())
			continue
		}
		for _, w := range d.allWorkers() {
			w.audit(ctx, oldest)
		}
	}
}

// audit counts again what may have reached the end of its retention: what comes before the oldest event.
func (w *worker) audit(ctx context.Context, oldest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.config == nil || !w.owned() {
		return
	}
	if w.config.suspend && w.reading.more {
		w.count() // so that what is lost later can be told
	}
	if w.reading.more && !w.reading.active && w.waiting.counted && !w.waiting.counting && w.position.Sequence+1 < oldest {
		w.auditAhead(ctx)
	}
	var behind []*lane
	for _, l := range w.lanes {
		if !l.busy && len(l.queue) == 0 && !l.finished() && l.first < oldest {
			behind = append(behind, l)
		}
	}
	for _, l := range behind {
		w.auditLane(ctx, l)
	}
}

// auditAhead counts what was not read ahead yet. w.mu is held, but not during the counting.
func (w *worker) auditAhead(ctx context.Context) {
	from, before := w.position, w.waiting.waits()
	var n eventlog.Backlog
	var err error
	w.mu.Unlock()
	w.d.atCount(ctx, func() { n, err = w.d.opts.Log.Pending(ctx, w.uid, from) })
	w.mu.Lock()
	if err != nil || ctx.Err() != nil || w.position != from || !w.waiting.counted {
		return
	}
	if gone := before - min(before, n.Count); gone > 0 {
		w.waiting.pending -= int64(min(w.waiting.waits(), gone))
		w.lose(gone)
	}
}

// auditLane counts what waits in a lane. w.mu is held, but not during the counting.
func (w *worker) auditLane(ctx context.Context, l *lane) {
	first, last, before := l.first, l.last, l.pending
	var n uint64
	var err error
	w.mu.Unlock()
	w.d.atCount(ctx, func() { n, err = w.d.opts.Log.CountLane(ctx, w.uid, l.key, max(first, 1), last) })
	w.mu.Lock()
	if err != nil || ctx.Err() != nil || w.lanes[l.key] != l || l.busy || l.first != first || l.last != last {
		return
	}
	if gone := before - min(before, n); gone > 0 {
		w.lose(gone)
	}
	l.pending, l.restored, l.uncounted = n, 0, false
	if n == 0 {
		l.first, l.attempts = last+1, 0
		w.saved.dirty = true
	}
	if l.finished() && !l.ready {
		delete(w.lanes, l.key)
	}
}

// lose notes events that the log no longer has although the sink has not taken them. w.mu is held.
func (w *worker) lose(n uint64) {
	if n == 0 {
		return
	}
	w.d.metrics.expired.WithLabelValues(w.channel.Namespace, w.channel.Name, w.sink).Add(float64(n))
	if w.lost {
		w.logger().V(1).Info("more events reached the end of their retention before the sink took them", "events", n)
		return
	}
	w.lost = true
	w.logger().Error(nil, "events reached the end of their retention in the event log before the sink took them; "+
		"the metric tiktok_operator_sink_expired_events_total counts them", "events", n)
}
