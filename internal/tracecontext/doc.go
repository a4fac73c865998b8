// Package tracecontext reads and writes the W3C Trace Context headers traceparent and tracestate. It records no spans: it carries the trace
// that a request belongs to from where it came in to where it goes out.
package tracecontext
