package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// Kind says on which side of what a span is.
type Kind = trace.SpanKind

// Kinds of spans.
const (
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
)

// Attribute is what a span says of itself.
type Attribute = attribute.KeyValue

// Names of attributes. Those without the prefix tiktok_operator are OpenTelemetry's semantic conventions.
const (
	MethodKey        = attribute.Key("http.request.method")
	RouteKey         = attribute.Key("http.route")
	StatusKey        = attribute.Key("http.response.status_code")
	ServerAddressKey = attribute.Key("server.address")
	PathKey          = attribute.Key("url.path")
	EventIDKey       = attribute.Key("cloudevents.event_id")
	EventTypeKey     = attribute.Key("cloudevents.event_type")
	MessagingKey     = attribute.Key("messaging.system")
	AppKey           = attribute.Key("tiktok_operator.app")
	NamespaceKey     = attribute.Key("tiktok_operator.channel.namespace")
	ChannelKey       = attribute.Key("tiktok_operator.channel.name")
	SinkKey          = attribute.Key("tiktok_operator.sink")
	OutcomeKey       = attribute.Key("tiktok_operator.outcome")
)

// Tracer records spans; nil records none.
type Tracer struct{ tracer trace.Tracer }

// Span is one piece of work; the zero value records nothing.
type Span struct{ span trace.Span }

// Begin begins a span in the trace of its parent, or a trace of its own where that is none. What is returned besides is the span's place in the
// trace, to be passed on: the parent itself if the Tracer is off.
func (t *Tracer) Begin(parent tracecontext.Context, name string, kind Kind, at time.Time, attributes ...Attribute) (Span, tracecontext.Context) {
	if t == nil {
		return Span{}, parent
	}
	_, span := t.tracer.Start(remote(context.Background(), parent), name,
		trace.WithSpanKind(kind), trace.WithTimestamp(at), trace.WithAttributes(attributes...))
	return Span{span}, carried(span.SpanContext())
}

// BeginIn is Begin for work that calls others with a context: they find the span there.
func (t *Tracer) BeginIn(
	ctx context.Context, parent tracecontext.Context, name string, kind Kind, attributes ...Attribute,
) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(remote(ctx, parent), name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return ctx, Span{span}
}

// Set adds attributes.
func (s Span) Set(attributes ...Attribute) {
	if s.span != nil {
		s.span.SetAttributes(attributes...)
	}
}

// End ends the span. failure, if not empty, says what went wrong, without anything secret.
func (s Span) End(failure string) {
	if s.span == nil {
		return
	}
	if failure != "" {
		s.span.SetStatus(codes.Error, failure)
	}
	s.span.End()
}

// remote puts a place that came from elsewhere into a context.
func remote(ctx context.Context, c tracecontext.Context) context.Context {
	if c.IsZero() {
		return ctx
	}
	config := trace.SpanContextConfig{TraceID: c.TraceIDBytes(), SpanID: c.SpanIDBytes(), Remote: true}
	if c.Sampled() {
		config.TraceFlags = trace.FlagsSampled
	}
	if state, err := trace.ParseTraceState(c.State()); err == nil { // what one of them takes, the other may not
		config.TraceState = state
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(config))
}

func carried(c trace.SpanContext) tracecontext.Context {
	return tracecontext.At(c.TraceID(), c.SpanID(), c.IsSampled(), c.TraceState().String())
}
