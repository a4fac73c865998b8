package tracing

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// Handler records the requests of a route, which is a method and a pattern of http.ServeMux, in the trace that they came with.
func (t *Tracer) Handler(route string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	_, path, _ := strings.Cut(route, " ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := t.BeginIn(r.Context(), tracecontext.FromHeader(r.Header), route, Server,
			MethodKey.String(r.Method), RouteKey.String(path),
			NamespaceKey.String(r.PathValue("namespace")), ChannelKey.String(r.PathValue("name")))
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			span.Set(StatusKey.Int(recorder.status))
			failure := ""
			if recorder.status >= http.StatusInternalServerError {
				failure = http.StatusText(recorder.status)
			}
			span.End(failure)
		}()
		next.ServeHTTP(recorder, r.WithContext(ctx))
	})
}

// Place is where a request is in its trace: below its span, if one is recorded, and else where its sender says. Zero means in none.
func Place(r *http.Request) tracecontext.Context {
	if c := trace.SpanContextFromContext(r.Context()); c.IsValid() {
		return carried(c)
	}
	return tracecontext.FromHeader(r.Header)
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status  int
	written bool
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if !r.written && status >= http.StatusOK {
		r.status, r.written = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
