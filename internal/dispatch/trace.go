package dispatch

import (
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// traceOf is the event's trace. One that was stored without, since it did not come by a webhook, has one all the same: at each attempt and each
// sink the same.
func traceOf(e *eventlog.Stored) tracecontext.Context {
	if !e.Trace.IsZero() {
		return e.Trace
	}
	return tracecontext.Derive(e.ChannelUID + " " + e.ID)
}
