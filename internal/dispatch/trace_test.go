package dispatch_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-01"
	state   = `congo=a "b" %,rojo=1`
)

// Every attempt is a request of its own in the event's trace; the event itself keeps the place that it came from.
func TestTraceReachesTheSink(t *testing.T) {
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	if _, err := r.log.Append(t.Context(), eventlog.Record{
		ID: "evt", App: "app", BusinessID: "biz", ChannelUID: uid, Conversation: "c", Event: "im_receive_msg", ReceivedAt: time.Now(),
		Body: body("im_receive_msg", "1", "c"), Trace: tracecontext.Parse(parent, state),
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event", func() bool { return same(rc.got(), []string{"evt"}) })
	spans := map[string]bool{}
	for _, request := range rc.requests {
		h := request.Header
		if h.Get("Ce-Traceparent") != parent || h.Get("Ce-Tracestate") != "congo=a%20%22b%22%20%25,rojo=1" || h.Get("Tracestate") != state {
			t.Errorf("got %q %q %q", h.Get("Ce-Traceparent"), h.Get("Ce-Tracestate"), h.Get("Tracestate"))
		}
		c := tracecontext.Parse(h.Get("Traceparent"), "")
		if c.TraceID() != traceID || c.Parent() == parent {
			t.Errorf("the attempt is %q", h.Get("Traceparent"))
		}
		spans[c.Parent()] = true
	}
	if len(spans) != 3 {
		t.Errorf("of 3 attempts, %v", spans)
	}
	if n := strings.Count(r.logged.String(), `"traceID"="`+traceID+`"`); n < 2 {
		t.Errorf("of 2 failures, %d were logged with the trace", n)
	}
}

// Events that did not come by a webhook have one trace too, at every attempt and after a restart.
func TestEventsWithoutATraceHaveOne(t *testing.T) {
	rc := newReceiver(t, always(http.StatusBadGateway))
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	r.put(uid, "evt", 1)
	eventually(t, "an attempt", func() bool { return rc.tried() > 0 })
	r.restart()
	rc.set(nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	eventually(t, "the event", func() bool { return len(rc.got()) == 1 })
	rc.mu.Lock()
	defer rc.mu.Unlock()
	first := rc.requests[0].Header.Get("Ce-Traceparent")
	for _, request := range rc.requests {
		h := request.Header
		attempt := tracecontext.Parse(h.Get("Traceparent"), "")
		if first == "" || h.Get("Ce-Traceparent") != first || attempt.TraceID() != tracecontext.Parse(first, "").TraceID() {
			t.Errorf("got %q, attempted as %q", h.Get("Ce-Traceparent"), h.Get("Traceparent"))
		}
	}
}
