package ingest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// A webhook that belongs to a trace keeps it; any other begins one. What is not valid is not stored, and no reason to refuse the webhook.
func TestTraceIsStored(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	const parent = "00-" + id + "-00f067aa0ba902b7-01"
	for name, tc := range map[string]struct {
		header http.Header
		want   tracecontext.Context // the zero value: a new one
	}{
		"none":              {http.Header{}, tracecontext.Context{}},
		"valid":             {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, tracecontext.Parse(parent, "a=1,b=2")},
		"state not valid":   {http.Header{"Traceparent": {parent}, "Tracestate": {"a=1,a=1"}}, tracecontext.Parse(parent, "")},
		"version ff":        {http.Header{"Traceparent": {"ff" + parent[2:]}, "Tracestate": {"a=1"}}, tracecontext.Context{}},
		"twice":             {http.Header{"Traceparent": {parent, parent}}, tracecontext.Context{}},
		"state alone":       {http.Header{"Tracestate": {"a=1"}}, tracecontext.Context{}},
		"nothing like that": {http.Header{"Traceparent": {"%0d%0a"}}, tracecontext.Context{}},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, channel("ch", "uid-1", business))
			body := text("1", "c")
			r := httptest.NewRequest(http.MethodPost, "/webhooks/app", bytes.NewReader(body))
			r.Header = tc.header
			r.Header.Set(tiktok.SignatureHeader, tiktok.Sign(secret, body, f.clock.Now()))
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, r)
			events := f.events(t, "uid-1")
			if w.Code != http.StatusOK || len(events) != 1 {
				t.Fatalf("%d, %d events", w.Code, len(events))
			}
			got := events[0].Trace
			if tc.want == (tracecontext.Context{}) {
				if got.TraceID() == "" || got.TraceID() == id || got.State() != "" {
					t.Errorf("got %+v, want a new one", got)
				}
			} else if got != tc.want {
				t.Errorf("got %+v", got)
			}
			if !strings.Contains(f.logged.String(), `"traceID"="`+got.TraceID()+`"`) {
				t.Errorf("the trace is not in the log: %s", f.logged)
			}
		})
	}
}

// What came before its channel keeps its trace when the channel appears.
func TestTraceOfRoutedEvents(t *testing.T) {
	f := setup(t)
	if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	if err := f.client.Create(t.Context(), channel("ch", "uid-1", business)); err != nil {
		t.Fatal(err)
	}
	if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	events := f.events(t, "uid-1")
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	for _, e := range events {
		if e.Trace.TraceID() == "" || !strings.Contains(f.logged.String(), e.Trace.TraceID()) {
			t.Errorf("%s has the trace %+v, which was not logged when it was accepted", e.ID, e.Trace)
		}
	}
}
