package appclient

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// CountCalls registers the metrics of calls to TikTok and returns what counts them, for Options.Observe.
func CountCalls(registry prometheus.Registerer) func(app string, o tiktok.Observation) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tiktok_operator_tiktok_requests_total",
		Help: "Calls to TikTok by TiktokApp, endpoint and code (TikTok's, or http_NNN, network, malformed).",
	}, []string{"app", "endpoint", "code"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tiktok_operator_tiktok_request_duration_seconds",
		Help:    "Time that TikTok took to answer, by endpoint.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20},
	}, []string{"endpoint"})
	registry.MustRegister(requests, duration)
	return func(app string, o tiktok.Observation) {
		requests.WithLabelValues(app, o.Endpoint, o.Code).Inc()
		duration.WithLabelValues(o.Endpoint).Observe(o.Duration.Seconds())
	}
}
