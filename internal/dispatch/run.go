package dispatch

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// run delivers a lane in a goroutine of its own, at a place that was taken. probe says that the sink is down and this attempt is to find out
// whether it still is. w.mu is held.
func (w *worker) run(l *lane, probe bool) bool {
	host := w.config.host
	ok := w.spawn(func(ctx context.Context) {
		w.runLane(ctx, l, probe)
		w.d.places.give(host, 1)
		w.mu.Lock()
		w.leave(l)
		idle := w.idle()
		w.mu.Unlock()
		w.save(ctx, idle)
	})
	if !ok {
		w.d.places.give(host, 1)
		w.makeReady(l)
		return false
	}
	w.occupy(l)
	return true
}

// occupy marks a lane as being worked on, by one goroutine: in the queue for that, another would take it too. w.mu is held.
func (w *worker) occupy(l *lane) {
	if l.ready {
		w.ready = slices.DeleteFunc(w.ready, func(other *lane) bool { return other == l })
		l.ready = false
	}
	l.busy = true
	w.inFlight++
}

// leave gives a lane back after a run. w.mu is held.
func (w *worker) leave(l *lane) {
	l.busy = false
	w.inFlight--
	if !w.takes() {
		w.drop(l)
	}
	switch {
	case l.finished():
		delete(w.lanes, l.key)
	case l.retryAt.IsZero():
		w.makeReady(l)
	}
	w.pump()
}

// runLane delivers a lane's events until there is none, one fails, or others should have their turn.
func (w *worker) runLane(ctx context.Context, l *lane, probe bool) {
	began := w.d.opts.Clock.Now()
	for range quantum {
		event, c := w.head(ctx, l, probe)
		if event == nil {
			return
		}
		r := w.attempt(ctx, c, event)
		if !w.settle(ctx, c, l, event, r, probe) {
			return
		}
		probe = false // it is up again
		w.save(ctx, false)
		if w.d.opts.Clock.Since(began) > turnTime && w.d.places.contended() {
			return
		}
	}
}

// head is the lane's next event, read from the log where it is not held. It is nil if there is none, or if the worker must not go on.
func (w *worker) head(ctx context.Context, l *lane, probe bool) (*eventlog.Stored, *config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mayWork() || (w.health.down() && !probe) {
		return nil, nil
	}
	if len(l.queue) == 0 && !l.finished() && !w.fill(ctx, l, w.laneBatch(l)) {
		return nil, nil
	}
	if len(l.queue) == 0 || !w.mayWork() {
		return nil, nil
	}
	return l.queue[0], w.config
}

// laneBatch is how many events of a lane are read at once. Of a sink that has not shown that it takes events, and where the first one failed, that
// one is needed only. w.mu is held.
func (w *worker) laneBatch(l *lane) int {
	if !w.flows || l.attempts > 0 {
		return 1
	}
	return laneBatch
}

// fill reads a lane's next events. w.mu is held, but not during the reading; the lane is busy.
func (w *worker) fill(ctx context.Context, l *lane, limit int) bool {
	// No more than what waits, where that is known: a reader that looks for more looks through the whole log, and brings it into memory.
	if !l.uncounted {
		limit = int(min(uint64(limit), max(l.pending, 1)))
	}
	r := w.tryRoom(w.config.host, min(readRoom, limit*smallRoom))
	if r.bytes == 0 {
		limit = 1
	}
	query := eventlog.Query{
		ChannelUID: w.uid, Lane: l.key, After: eventlog.Position{Sequence: max(l.first, 1) - 1}, Limit: limit, MaxBytes: max(r.bytes, 1),
	}
	through := l.last
	w.mu.Unlock()
	events, _, err := w.d.opts.Log.Events(ctx, query)
	w.mu.Lock()
	before := w.bufferedBytes
	defer func() { w.fillRoom(r, before) }()
	if err != nil {
		if ctx.Err() == nil {
			w.logger().Error(err, "the next events of a conversation cannot be read; trying again")
		}
		w.wait(l, logRetry)
		return false
	}
	w.lose(l.fill(events, through))
	for _, e := range l.queue {
		w.hold(e)
	}
	return true
}

// wait makes a lane wait; it holds no events meanwhile. w.mu is held.
func (w *worker) wait(l *lane, d time.Duration) {
	w.drop(l)
	l.retryAt = w.d.opts.Clock.Now().Add(d)
	if w.nextRetry.IsZero() || l.retryAt.Before(w.nextRetry) {
		w.nextRetry = l.retryAt
	}
}

// finish moves a lane past its first event. w.mu is held.
func (w *worker) finish(l *lane, e *eventlog.Stored) {
	if len(l.queue) > 0 {
		w.letGo(l.queue[0])
	}
	l.done(e)
	w.saved.dirty = true
}

// attempt delivers an event, unless it is for another sink, or the sink does not want its type.
func (w *worker) attempt(ctx context.Context, c *config, event *eventlog.Stored) result {
	normalized, r := w.wanted(c, event)
	if normalized == nil {
		return r
	}
	r = w.send(ctx, c, event, normalized)
	r.trace = normalized.Trace.TraceID()
	w.d.metrics.deliveries.WithLabelValues(string(r.outcome)).Inc()
	w.ended(r.outcome)
	if r.outcome == outcomeDelivered {
		w.d.metrics.latency.Observe(max(w.d.opts.Clock.Since(event.StoredAt).Seconds(), 0))
	}
	return r
}

// wanted is the CloudEvent that the sink is to get; nil, and why, if it is to get none.
func (w *worker) wanted(c *config, event *eventlog.Stored) (*cloudevent.Event, result) {
	if !w.concerns(event) { // it was read again, with its conversation
		return nil, result{outcome: outcomeUnwanted}
	}
	normalized, err := cloudevent.Normalize(cloudevent.Input{
		ID: event.ID, Namespace: w.channel.Namespace, Name: w.channel.Name, Own: event.Own, Body: event.Body,
		ReceivedAt: event.ReceivedAt, Trace: traceOf(event),
	})
	switch {
	case err != nil:
		return nil, result{outcome: outcomeInvalid, problem: err.Error()}
	case !c.sink.Wants(normalized.Type):
		return nil, result{outcome: outcomeUnwanted}
	default:
		return &normalized, result{}
	}
}

// send sends an event to where the sink is. One that is refused with credentials from before is sent once more if they have changed since.
func (w *worker) send(ctx context.Context, c *config, event *eventlog.Stored, normalized *cloudevent.Event) result {
	target, fresh, err := w.resolve(ctx, c)
	if err != nil {
		return unresolved(err)
	}
	r := w.post(ctx, c, event, normalized, target)
	if fresh || !r.denied() || !hasCredentials(c.sink) {
		return r
	}
	again, err := w.reread(ctx, c, target)
	switch {
	case err != nil:
		denied := unresolved(err)
		denied.status, denied.target, denied.problem = r.status, r.target, r.problem+", and its credentials may have changed: "+denied.problem
		return denied
	case reflect.DeepEqual(target, again):
		return r
	default:
		return w.post(ctx, c, event, normalized, again)
	}
}

// post makes an attempt at a target.
func (w *worker) post(ctx context.Context, c *config, event *eventlog.Stored, normalized *cloudevent.Event, target *sink.Target) result {
	start := w.d.opts.Clock.Now()
	span, place := w.beginAttempt(normalized, *target, start)
	r := w.d.deliver(ctx, *target, *normalized, place, event.Replay != "", c.sink.Timeout())
	endAttempt(span, &r)
	w.d.metrics.attempt.Observe(w.d.opts.Clock.Since(start).Seconds())
	r.target = target.Origin()
	return r
}

// concerns says whether an event is for the sink at all.
func (w *worker) concerns(e *eventlog.Stored) bool { return e.Sink == "" || e.Sink == w.sink }
