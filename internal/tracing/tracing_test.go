package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATracerThatIsOffPassesTracesOn(t *testing.T) {
	var off *tracing.Tracer
	from := tracecontext.Parse(parent, "a=1")
	span, to := off.Begin(from, "x", tracing.Server, time.Now())
	span.Set(tracing.AppKey.String("demo"))
	span.End("")
	if to != from {
		t.Errorf("%s became %s", from.Parent(), to.Parent())
	}
	if next := http.DefaultTransport; off.Transport(next) != next {
		t.Error("requests go another way")
	}
}

// A collector that is not there, and one that never answers, hold up neither work nor the end of the process.
func TestACollectorThatIsAwayDisturbsNobody(t *testing.T) {
	ended := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer silent.Close()
	defer close(ended)
	for _, endpoint := range []string{"http://127.0.0.1:1", silent.URL} {
		tracer, stop, err := tracing.Start(t.Context(), tracing.Options{Endpoint: endpoint, SampleRatio: 1, Service: "test", Log: logr.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			span, place := tracer.Begin(tracecontext.Context{}, "x", tracing.Server, time.Now())
			if place.IsZero() || !place.Sampled() {
				t.Fatalf("the place is %q", place.Parent())
			}
			span.End("")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = stop(ctx) // it ends, which is all that is asked here
		cancel()
	}
}

func TestWhoBeganTheTraceDecides(t *testing.T) {
	tracer, stop, err := tracing.Start(t.Context(), tracing.Options{Endpoint: "http://127.0.0.1:1", SampleRatio: 0, Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("nothing is to be sent"))
		_ = stop(ctx)
	}()
	for text, want := range map[string]bool{parent: true, strings.TrimSuffix(parent, "1") + "0": false, "": false} {
		from := tracecontext.Parse(text, "a=1")
		span, place := tracer.Begin(from, "x", tracing.Server, time.Now())
		span.End("")
		if place.Sampled() != want || (text != "" && (place.TraceID() != from.TraceID() || place.State() != "a=1")) || place == from {
			t.Errorf("in the trace %q the place is %q", text, place.Parent())
		}
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"http://collector:4318": true, "https://otlp.example/v1/traces": true,
		"": false, "collector:4318": false, "http://": false, "grpc://collector:4317": false, "http://user:precious@collector": false, "http://%": false,
	} {
		err := tracing.CheckEndpoint(endpoint)
		if (err == nil) != good || (err != nil && strings.Contains(err.Error(), "precious")) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestAPlaceIsBelowTheSpanOrWhereTheSenderSays(t *testing.T) {
	sender := tracecontext.New()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if got := tracing.Place(r); !got.IsZero() {
		t.Errorf("a request in no trace is at %s", got.Parent())
	}
	sender.Set(r.Header)
	if got := tracing.Place(r); got.Parent() != sender.Parent() {
		t.Errorf("at %s, want %s", got.Parent(), sender.Parent())
	}
	tracer, stop, err := tracing.Start(t.Context(), tracing.Options{Endpoint: "http://127.0.0.1:1", SampleRatio: 1, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = stop(ended)
	})
	var got tracecontext.Context
	tracer.Handler("POST /", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = tracing.Place(r) })).
		ServeHTTP(httptest.NewRecorder(), r)
	if got.TraceID() != sender.TraceID() || got.Parent() == sender.Parent() {
		t.Errorf("at %s, want below %s", got.Parent(), sender.Parent())
	}
}
