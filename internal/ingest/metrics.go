package ingest

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome of a webhook, as the metric's label.
type outcome string

const (
	outcomeStored         outcome = "stored"
	outcomeDuplicate      outcome = "duplicate"
	outcomeUnrouted       outcome = "unrouted"
	outcomeMethod         outcome = "method_not_allowed"
	outcomeTooLarge       outcome = "too_large"
	outcomeIncomplete     outcome = "incomplete"
	outcomeBusy           outcome = "busy"
	outcomeUnknownApp     outcome = "unknown_app"
	outcomeNoCredentials  outcome = "no_credentials"
	outcomeBadSignature   outcome = "bad_signature"
	outcomeBadTime        outcome = "bad_time"
	outcomeUndecodable    outcome = "undecodable"
	outcomeWrongApp       outcome = "wrong_app"
	outcomeLogFull        outcome = "log_full"
	outcomeLogUnavailable outcome = "log_unavailable"
	outcomeUnavailable    outcome = "unavailable"
)

type metrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_webhook_requests_total",
			Help: "Webhook requests by TiktokApp (empty if the path names none that exists) and outcome.",
		}, []string{"app", "outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_events_total",
			Help: "Verified events by TiktokApp, CloudEvent type and outcome (stored, duplicate, unrouted).",
		}, []string{"app", "type", "outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tiktok_operator_webhook_duration_seconds",
			Help:    "Time from a webhook's headers to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	if r == nil {
		return m, nil
	}
	if err := errors.Join(r.Register(m.requests), r.Register(m.events), r.Register(m.duration)); err != nil {
		return nil, fmt.Errorf("registering the metrics of webhooks: %w", err)
	}
	return m, nil
}
