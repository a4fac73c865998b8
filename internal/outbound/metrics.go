package outbound

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// Metrics of sending.
type Metrics struct {
	sends *prometheus.CounterVec
	wait  prometheus.Histogram
}

// NewMetrics registers the metrics; a nil registerer registers nothing.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_sends_total",
			Help: "Requests to send a message, by TiktokApp and result: sent, replayed, refused (by the rules), refused_by_tiktok, throttled, " +
				"not_sent, unknown (whether TikTok has it), rejected (the request itself), error.",
		}, []string{"app", "result"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tiktok_operator_send_wait_seconds",
			Help:    "Time that calls of the messaging API waited for their turn at TikTok's rate limit.",
			Buckets: []float64{.001, .01, .1, .5, 1, 2.5, 5, 10},
		}),
	}
	if registerer == nil {
		return m, nil
	}
	if err := errors.Join(registerer.Register(m.sends), registerer.Register(m.wait)); err != nil {
		return nil, fmt.Errorf("registering the metrics of sending: %w", err)
	}
	return m, nil
}

func (m *Metrics) waited(d time.Duration) { m.wait.Observe(d.Seconds()) }

func (m *Metrics) count(app string, sent *Sent, err error) {
	m.sends.WithLabelValues(app, resultOf(sent, err)).Inc()
}

func resultOf(sent *Sent, err error) string {
	var (
		rules    *messaging.Refusal
		tiktok   *TikTokRefusal
		notSent  *NotSentError
		unknown  *UnknownOutcomeError
		reused   *KeyReusedError
		progress *InProgressError
	)
	switch {
	case err == nil && sent.Replayed:
		return "replayed"
	case err == nil:
		return "sent"
	case errors.As(err, &rules):
		return "refused"
	case errors.As(err, &tiktok):
		return "refused_by_tiktok"
	case errors.As(err, &notSent) && notSent.Throttled:
		return "throttled"
	case errors.As(err, &notSent):
		return "not_sent"
	case errors.As(err, &unknown):
		return "unknown"
	case errors.As(err, &reused), errors.As(err, &progress):
		return "rejected"
	default:
		return "error"
	}
}
