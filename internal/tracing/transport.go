package tracing

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// apiPath is what begins the paths of TikTok's API. Other addresses are TikTok's to name, and their paths may be secrets.
const apiPath = "/open_api/"

// Transport records requests to TikTok that belong to a span. They carry nothing of the trace: TikTok is not told.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{tracer: t, next: next}
}

type transport struct {
	tracer *Tracer
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return t.next.RoundTrip(r)
	}
	attributes := []Attribute{MethodKey.String(r.Method), ServerAddressKey.String(r.URL.Hostname())}
	if strings.HasPrefix(r.URL.Path, apiPath) {
		attributes = append(attributes, PathKey.String(r.URL.Path))
	}
	_, s := t.tracer.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(Client), trace.WithAttributes(attributes...))
	span := Span{s}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		span.End("there was no answer") // the error's own words may quote the request
		return resp, err
	}
	span.Set(StatusKey.Int(resp.StatusCode))
	failure := ""
	if resp.StatusCode >= http.StatusBadRequest {
		failure = resp.Status
	}
	span.End(failure)
	return resp, nil
}
