package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// collected is what an OpenTelemetry collector was sent.
type collected struct {
	mu     sync.Mutex
	spans  []*trace.Span
	bodies []byte
}

// ServeHTTP implements http.Handler.
func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, body...)
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// named returns the spans of a name.
func (c *collected) named(name string) []*trace.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*trace.Span
	for _, span := range c.spans {
		if span.Name == name {
			all = append(all, span)
		}
	}
	return all
}

func attribute(span *trace.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// TestTraces has the webhook binary send its spans to a collector: from TikTok's webhook to the sink it is one trace, which the sink is told of,
// and a reply is one from the API to TikTok.
func TestTraces(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("it needs a control plane of its own, and KUBECONFIG names another")
	}
	t.Parallel() // it waits more than it works
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	spans := &collected{}
	server := httptest.NewServer(spans)
	defer server.Close()
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{
		tokenLife: time.Hour, logLevel: "info", webhook: []string{"--otlp-endpoint=" + server.URL},
	}}}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	open(ctx, t, g.stage)
	told := map[string]string{} // by the event's id, the place that the sink was told of
	var mu sync.Mutex
	g.sink.seen = func(r *http.Request, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		told[r.Header.Get("Ce-Id")] = r.Header.Get("Traceparent")
	}
	must(t, "create", g.create(ctx))
	must(t, "authorize", g.authorize(ctx))
	must(t, "receive", g.receive(question)(ctx))
	must(t, "reply", g.reply(ctx))

	const route = messagingapi.SendPattern
	must(t, "spans", program.Wait(ctx, time.Minute, "the spans", func() (bool, error) {
		return len(spans.named("POST /webhooks/{app}")) > 0 && len(spans.named("deliver event")) > 1 && len(spans.named(route)) > 1, nil
	}))
	accepted := map[string]*trace.Span{}
	for _, span := range spans.named("POST /webhooks/{app}") {
		accepted[attribute(span, "cloudevents.event_id")] = span
		if attribute(span, "tiktok_operator.app") != "demo" || attribute(span, "tiktok_operator.outcome") == "" {
			t.Errorf("the span of a webhook says %v", span.Attributes)
		}
	}
	for _, span := range spans.named("store event") {
		if span.ParentSpanId == nil {
			t.Error("what stores an event is in no trace")
		}
	}
	whole := 0
	for _, span := range spans.named("deliver event") {
		id := attribute(span, "cloudevents.event_id")
		mu.Lock()
		place := told[id]
		mu.Unlock()
		if !strings.Contains(place, hex.EncodeToString(span.TraceId)+"-"+hex.EncodeToString(span.SpanId)) {
			t.Errorf("the sink was told of %q, and the attempt is %x-%x", place, span.TraceId, span.SpanId)
		}
		if from := accepted[id]; from != nil {
			whole++
			if !bytes.Equal(from.TraceId, span.TraceId) || !bytes.Equal(from.SpanId, span.ParentSpanId) {
				t.Errorf("the delivery of %s is not in the trace of its webhook", id)
			}
		}
	}
	if whole == 0 {
		t.Error("no event can be followed from its webhook to the sink")
	}
	calls := 0
	for _, span := range spans.named("POST") {
		for _, from := range spans.named(route) {
			if bytes.Equal(from.SpanId, span.ParentSpanId) && attribute(span, "url.path") != "" {
				calls++
			}
		}
	}
	if calls == 0 {
		t.Error("no call to TikTok can be followed from the API")
	}

	var secrets corev1.SecretList
	must(t, "listing Secrets", g.k8s.List(ctx, &secrets))
	spans.mu.Lock()
	defer spans.mu.Unlock()
	for _, secret := range secrets.Items {
		for key, value := range secret.Data {
			if (strings.HasSuffix(key, "_token") || key == v1alpha1.DefaultAppSecretKey) && bytes.Contains(spans.bodies, value) {
				t.Errorf("the spans hold %s of %s", key, secret.Name)
			}
		}
	}
	if bytes.Contains(spans.bodies, []byte(question)) {
		t.Error("the spans hold what was written")
	}
}
