// Package tracing records spans with OpenTelemetry, and sends them to a collector by OTLP. It is the only package that knows OpenTelemetry.
//
// A nil *Tracer is one that is off: it costs nothing, and traces are passed on as package tracecontext carries them. Spans hold names, ids,
// types and outcomes. Nothing of a message, a token, a header or a query is ever in one.
package tracing
