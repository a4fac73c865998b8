package main

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// flushFor is how long the end of the process waits for a collector.
const flushFor = 5 * time.Second

// startTraces starts what records traces, and returns what sends the last of them. The Tracer is nil where there is nowhere to send them.
func startTraces(ctx context.Context, o *options, log logr.Logger) (*tracing.Tracer, func(), error) {
	if o.otlpEndpoint == "" {
		return nil, func() {}, nil
	}
	log = log.WithName("tracing")
	tracer, stop, err := tracing.Start(ctx, tracing.Options{
		Endpoint: o.otlpEndpoint, SampleRatio: o.traceSampleRatio, Service: "tiktok-operator-webhook", Version: version, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return tracer, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushFor)
		defer cancel()
		if err := stop(ctx); err != nil {
			log.Info("the last traces did not reach the collector", "reason", err.Error())
		}
	}, nil
}
