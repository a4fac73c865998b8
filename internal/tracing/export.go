package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"
)

const (
	// exportTimeout bounds one request to the collector.
	exportTimeout = 10 * time.Second
	// tellEvery is how often at most it is told that spans do not reach the collector.
	tellEvery = time.Minute
	// tracesPath is OTLP's own.
	tracesPath = "/v1/traces"
	scope      = "github.com/tiktok-operator/tiktok-operator"
)

// Options of Start.
type Options struct {
	// Endpoint is the collector's URL for OTLP over HTTP, such as http://otel-collector:4318; /v1/traces is its path where it has none.
	Endpoint string
	// SampleRatio is the share of traces that is recorded, from 0 to 1, where whoever began the trace did not decide it.
	SampleRatio float64
	// Service and Version name the process.
	Service, Version string
	Log              logr.Logger
}

// Start makes a Tracer, and what ends it: that sends what is left, within the context's time. The collector need not be there; what it does not
// take is dropped, and nothing else waits for it. Headers for it, such as a key, are read from $OTEL_EXPORTER_OTLP_HEADERS.
func Start(ctx context.Context, o Options) (*Tracer, func(context.Context) error, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint.String()), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	otel.SetErrorHandler(&quietHandler{log: o.Log, sometimes: rate.Sometimes{Interval: tellEvery}})
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))),
	)
	return &Tracer{provider.Tracer(scope)}, provider.Shutdown, nil
}

// CheckEndpoint says what is wrong with a collector's URL. It does not repeat the URL, which may hold a password.
func CheckEndpoint(endpoint string) error {
	_, err := parseEndpoint(endpoint)
	return err
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("it must be a URL such as http://otel-collector:4318")
	case u.User != nil:
		return nil, errors.New("it must not hold a user or a password: set $OTEL_EXPORTER_OTLP_HEADERS")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	return u, nil
}

// quietHandler logs what goes wrong with sending, now and then.
type quietHandler struct {
	log       logr.Logger
	sometimes rate.Sometimes
}

// Handle implements otel.ErrorHandler.
func (h *quietHandler) Handle(err error) {
	h.sometimes.Do(func() {
		h.log.Info("traces do not reach the collector; nothing else is affected", "reason", err.Error())
	})
}
