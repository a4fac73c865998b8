package dispatch

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// step deals with the next event.
func (w *worker) step(ctx context.Context, c *config) (step, time.Duration) {
	event, err := w.d.opts.Log.Next(ctx, w.uid, w.position)
	if err != nil {
		if ctx.Err() == nil {
			w.logger().Error(err, "the next event cannot be read; trying again")
		}
		return stepWait, logRetry
	}
	if event == nil {
		return w.atEnd()
	}
	if !w.current(c) {
		return stepGoOn, 0 // suspended or changed meanwhile: an event that came later must not go by the old settings
	}
	w.inHand(event)
	normalized, err := cloudevent.Normalize(cloudevent.Input{
		ID: event.ID, Namespace: w.channel.Namespace, Name: w.channel.Name, Body: event.Body, ReceivedAt: event.ReceivedAt,
	})
	if err != nil {
		return w.failed(c, result{outcome: outcomeFailed, problem: err.Error()})
	}
	if !c.sink.Wants(normalized.Type) {
		w.advance(event)
		return stepGoOn, 0
	}
	target, problem := w.resolve(ctx, c)
	if problem != nil {
		w.d.metrics.deliveries.WithLabelValues(string(outcomeUnresolved)).Inc()
		return w.failed(c, result{outcome: outcomeUnresolved, problem: problem.Error()})
	}
	start := w.d.opts.Clock.Now()
	r := w.d.deliver(ctx, target, normalized, c.sink.Timeout())
	w.d.metrics.deliveries.WithLabelValues(string(r.outcome)).Inc()
	w.d.metrics.attempt.Observe(w.d.opts.Clock.Since(start).Seconds())
	if r.outcome != outcomeDelivered {
		return w.failed(c, r)
	}
	w.d.metrics.latency.Observe(max(w.d.opts.Clock.Since(event.StoredAt).Seconds(), 0))
	if w.failures > 0 {
		w.logger().Info("a sink takes events again", "target", target.Origin(), "failures", w.failures)
	}
	w.failures = 0
	w.advance(event)
	return stepGoOn, 0
}

// atEnd is when there is no further event, or one that the log told of cannot be read yet.
func (w *worker) atEnd() (step, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.again {
		return stepGoOn, 0
	}
	if w.hinted > w.position.Sequence && w.stale < staleAttempts {
		w.stale++
		return stepWait, staleRetry
	}
	w.waiting.none()
	return stepEnd, 0
}

// save stores the position, at most every saveInterval unless it must. A failure costs no more than a repeated delivery after a restart.
func (w *worker) save(ctx context.Context, must bool) {
	now := w.d.opts.Clock.Now()
	if w.position.Sequence == w.saved || (!must && now.Sub(w.savedAt) < saveInterval) {
		return
	}
	// An attempt that was given up is no reason to forget the ones that succeeded.
	err := w.d.opts.Log.SaveSink(context.WithoutCancel(ctx), w.state())
	if err != nil {
		w.logger().V(1).Info("a sink's position was not stored; it will be with the next one", "reason", err.Error())
		return
	}
	w.saved, w.savedAt = w.position.Sequence, now
}

// state is the worker's position as the log keeps it.
func (w *worker) state() eventlog.SinkState {
	return eventlog.SinkState{
		Namespace: w.channel.Namespace, Name: w.channel.Name, ChannelUID: w.uid, Sink: w.sink, Position: w.position,
	}
}

// resolve finds the sink's target, or keeps the one it has while that works.
func (w *worker) resolve(ctx context.Context, c *config) (sink.Target, error) {
	now := w.d.opts.Clock.Now()
	if w.targetOf == c && w.failures == 0 && now.Sub(w.resolvedAt) < resolveFor {
		return w.target, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.sink.Timeout())
	defer cancel()
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: w.channel.Namespace, Name: w.channel.Name}}
	target, err := sink.Resolve(ctx, w.d.opts.Reader, ch, c.sink)
	if err != nil {
		w.targetOf = nil
		return sink.Target{}, err
	}
	w.target, w.targetOf, w.resolvedAt = target, c, now
	return target, nil
}

// failed counts a failure of the sink and says how long to wait.
func (w *worker) failed(c *config, r result) (step, time.Duration) {
	if r.outcome == outcomeCancelled {
		return stepEnd, 0 // not the sink's fault: begin decides what is next
	}
	w.failures++
	minimum, maximum := c.sink.BackoffBounds()
	wait := backoff(w.failures, minimum, maximum, r.retryAfter, w.d.random())
	log := w.logger().WithValues("outcome", r.outcome, "reason", r.problem, "failures", w.failures,
		"retryIn", wait.Round(time.Millisecond).String())
	if w.targetOf == c {
		log = log.WithValues("target", w.target.Origin())
	}
	if w.failures&(w.failures-1) == 0 { // each doubling, so that a dead sink does not fill the log
		log.Info("an event was not delivered; trying again")
	} else {
		log.V(1).Info("an event was not delivered; trying again")
	}
	return stepWait, wait
}
