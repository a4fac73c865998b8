package dispatch

import (
	"context"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// settle draws the consequences of an attempt. It returns whether the lane goes on at once.
func (w *worker) settle(ctx context.Context, c *config, l *lane, event *eventlog.Stored, r result, probe bool) bool {
	switch r.outcome {
	case outcomeCancelled:
		return false // by us: what is next is seen then
	case outcomeUnread:
		w.postpone(c, l, r)
		return false
	case outcomeDelivered, outcomeUnwanted:
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.outcome == outcomeDelivered {
			w.succeeded(r)
		}
		w.flows = true
		w.finish(l, event)
		return true
	}
	now := w.d.opts.Clock.Now()
	age := now.Sub(event.StoredAt)
	w.mu.Lock()
	l.attempts++
	attempts := l.attempts
	if r.outcome.shows() {
		w.succeeded(r)
	} else {
		minimum, maximum := c.sink.BackoffBounds()
		w.health.failed(l.key, r.problem, now, probe, func(probes int) time.Duration {
			return backoff(probes, minimum, maximum, r.retryAfter, w.d.random())
		})
		// One conversation's failures say nothing of others, not even where another one hangs and nothing else shows that the sink takes events.
		if w.health.down() {
			w.flows = false
			w.shed()
		}
	}
	w.mu.Unlock()
	reason := c.limits.giveUp(r.outcome, attempts, age)
	if reason != "" && w.bury(ctx, event, reason, r.problem, attempts) {
		w.mu.Lock()
		w.finish(l, event)
		if !r.outcome.shows() { // the next one is not to follow at once
			minimum, maximum := c.sink.BackoffBounds()
			w.wait(l, backoff(attempts, minimum, maximum, r.retryAfter, w.d.random()))
		}
		hopeless := reason == DeadAge && w.hopeless(now)
		w.mu.Unlock()
		if hopeless { // nor is it, if it is as old
			w.expireLane(ctx, c, l, now)
		}
		return r.outcome.shows()
	}
	w.retry(c, l, r, attempts)
	return false
}

// succeeded notes that the sink is alive. w.mu is held.
func (w *worker) succeeded(r result) {
	failing, since := w.health.failing(), w.health.since
	w.flows = true
	if w.health.succeeded(w.d.opts.Clock.Now()) {
		w.release()
	}
	if failing && r.outcome == outcomeDelivered {
		w.logger().Info("a sink takes events again", "target", r.target, "failed for", w.d.opts.Clock.Since(since).Round(time.Second).String())
	}
}

// postpone makes a lane wait until the API server is asked again. That it did not answer is no fault of the sink, and no attempt at the event.
func (w *worker) postpone(c *config, l *lane, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config != c {
		return // the change is tried at once
	}
	if r.status != 0 {
		w.succeeded(r) // it is there
	} else {
		now := w.d.opts.Clock.Now()
		w.health.postponed(now, now.Add(r.retryAfter), r.forbidden)
		w.shed()
	}
	w.wait(l, r.retryAfter)
}

// retry makes the lane wait.
func (w *worker) retry(c *config, l *lane, r result, attempts int) {
	minimum, maximum := c.sink.BackoffBounds()
	wait := backoff(attempts, minimum, maximum, r.retryAfter, w.d.random())
	w.mu.Lock()
	if w.config == c { // else the change is tried at once
		w.wait(l, wait)
	}
	w.saved.dirty = true
	w.mu.Unlock()
	log := w.logger().WithValues("outcome", r.outcome, "reason", r.problem, "attempts", attempts, "retryIn", wait.Round(time.Millisecond).String(),
		"traceID", r.trace)
	if r.target != "" {
		log = log.WithValues("target", r.target)
	}
	if attempts&(attempts-1) == 0 { // each doubling, so that a dead sink does not fill the log
		log.Info("an event was not delivered; trying again")
	} else {
		log.V(1).Info("an event was not delivered; trying again")
	}
}

// bury makes an event a dead letter. Where that cannot be stored, the event is tried again: nothing is dropped.
func (w *worker) bury(ctx context.Context, event *eventlog.Stored, reason DeadReason, problem string, attempts int) bool {
	letter := eventlog.DeadLetter{
		Record: event.Record, Sequence: event.Sequence, StoredAt: event.StoredAt, Reason: string(reason), Problem: problem, Attempts: attempts,
	}
	letter.Sink = w.sink
	// An attempt was made, and its result is final: that it ends now is no reason to make another one.
	if err := w.d.opts.Log.AddDeadLetter(context.WithoutCancel(ctx), letter); err != nil {
		w.logger().Error(err, "a dead letter could not be stored; its event is tried again", "event", event.ID)
		return false
	}
	w.d.metrics.deadLetters.WithLabelValues(w.channel.Namespace, w.channel.Name, w.sink, string(reason)).Inc()
	w.logger().Info("an event became a dead letter; it is kept for 30 days and can be replayed",
		"event", event.ID, "reason", reason, "problem", problem, "attempts", attempts, "traceID", traceOf(event).TraceID())
	return true
}

// hopeless says that the sink has been failing for longer than events may be old, and that it can be asked. w.mu is held.
func (w *worker) hopeless(now time.Time) bool {
	return w.health.failing() && !w.health.unread && w.config.limits.tooOld(now.Sub(w.health.since))
}

// expire gives up the events of a sink that has been failing for longer than they may be old: they get no attempt of their own. w.mu is held.
func (w *worker) expire(now time.Time) {
	if w.inFlight > 0 || !w.hopeless(now) {
		return
	}
	for _, l := range w.lanes {
		// How old the first event of a lane is may have to be read.
		if l.busy || l.retryAt.After(now) || (!l.since.IsZero() && !w.config.limits.tooOld(now.Sub(l.since))) {
			continue
		}
		c := w.config
		ok := w.spawn(func(ctx context.Context) {
			w.expireLane(ctx, c, l, now)
			w.mu.Lock()
			w.leave(l)
			w.mu.Unlock()
			w.save(ctx, false)
		})
		if ok {
			w.occupy(l)
		}
		return // one after the other
	}
}

func (w *worker) expireLane(ctx context.Context, c *config, l *lane, now time.Time) {
	for {
		w.mu.Lock()
		if !w.mayWork() || w.config != c || l.finished() || (len(l.queue) == 0 && !w.fill(ctx, l, laneBatch)) || len(l.queue) == 0 {
			w.mu.Unlock()
			return
		}
		event, attempts, problem := l.queue[0], l.attempts, w.health.problem
		w.mu.Unlock()
		if !c.limits.tooOld(now.Sub(event.StoredAt)) {
			return
		}
		_, r := w.wanted(c, event)
		done := r.outcome == outcomeUnwanted || w.bury(ctx, event, DeadAge, problem, attempts)
		w.mu.Lock()
		if done {
			w.finish(l, event)
		} else {
			w.wait(l, logRetry)
		}
		w.mu.Unlock()
		if !done {
			return
		}
	}
}
