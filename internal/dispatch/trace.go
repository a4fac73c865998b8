package dispatch

import (
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// traceOf is the event's trace. One that was stored without, since it did not come by a webhook, has one all the same: at each attempt and each
// sink the same.
func traceOf(e *eventlog.Stored) tracecontext.Context {
	if !e.Trace.IsZero() {
		return e.Trace
	}
	return tracecontext.Derive(e.ChannelUID + " " + e.ID)
}

// beginAttempt records an attempt, if attempts are recorded, and gives it a place in the event's trace.
func (w *worker) beginAttempt(event *cloudevent.Event, target sink.Target, start time.Time) (tracing.Span, tracecontext.Context) {
	tracer := w.d.opts.Tracer
	if tracer == nil {
		return tracing.Span{}, event.Trace.Child()
	}
	return tracer.Begin(event.Trace, "deliver event", tracing.Client, start,
		tracing.EventIDKey.String(event.ID), tracing.EventTypeKey.String(string(event.Type)), tracing.SinkKey.String(w.sink),
		tracing.NamespaceKey.String(w.channel.Namespace), tracing.ChannelKey.String(w.channel.Name),
		tracing.ServerAddressKey.String(target.URL.Hostname()))
}

func endAttempt(span tracing.Span, r *result) {
	span.Set(tracing.OutcomeKey.String(string(r.outcome)))
	if r.status != 0 {
		span.Set(tracing.StatusKey.Int(r.status))
	}
	failure := ""
	if r.outcome != outcomeDelivered {
		failure = r.problem
	}
	span.End(failure)
}
