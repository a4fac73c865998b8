package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	attempt    prometheus.Histogram
	latency    prometheus.Histogram
	// deadLetters are counted by channel: somebody has to look at them.
	deadLetters *bySink
	// expired are those of which there is not even a dead letter.
	expired *bySink
}

func newMetrics(r prometheus.Registerer, d *Dispatcher) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_deliveries_total",
			Help: "Attempts to deliver an event to a sink, by outcome.",
		}, []string{"outcome"}),
		attempt: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tiktok_operator_delivery_attempt_duration_seconds",
			Help:    "Time that a sink took to answer an attempt, or to fail.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tiktok_operator_delivery_latency_seconds",
			Help:    "Time from an event being stored to a sink having taken it.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600, 21600, 86400},
		}),
		deadLetters: newBySink(d, prometheus.CounterOpts{
			Name: "tiktok_operator_dead_letters_total",
			Help: "Events that became dead letters, by sink and reason.",
		}, "reason"),
		expired: newBySink(d, prometheus.CounterOpts{
			Name: "tiktok_operator_sink_expired_events_total",
			Help: "Events that reached the end of their time in the event log before the sink took them, without a dead letter.",
		}),
	}
	if r == nil {
		return m, nil
	}
	err := errors.Join(r.Register(m.deliveries), r.Register(m.attempt), r.Register(m.latency), r.Register(m.deadLetters), r.Register(m.expired),
		r.Register(newBacklog(d)))
	if err != nil {
		return nil, fmt.Errorf("registering the metrics of deliveries: %w", err)
	}
	return m, nil
}

// sinkLabels identify a sink.
var sinkLabels = []string{"namespace", "channel", "sink"}

// bySink counts by sink, and forgets the sinks that are gone when it is asked.
type bySink struct {
	*prometheus.CounterVec
	dispatcher *Dispatcher

	mu      sync.Mutex
	counted map[[3]string]struct{} // values of sinkLabels
}

func newBySink(d *Dispatcher, opts prometheus.CounterOpts, further ...string) *bySink {
	return &bySink{
		CounterVec: prometheus.NewCounterVec(opts, slices.Concat(sinkLabels, further)), dispatcher: d, counted: map[[3]string]struct{}{},
	}
}

// WithLabelValues is the counter of a sink: namespace, channel and sink, and what further labels there are.
func (b *bySink) WithLabelValues(values ...string) prometheus.Counter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counted[[3]string(values)] = struct{}{}
	return b.CounterVec.WithLabelValues(values...)
}

// Collect implements prometheus.Collector.
func (b *bySink) Collect(ch chan<- prometheus.Metric) {
	b.forget()
	b.CounterVec.Collect(ch)
}

// forget removes the series of sinks that are gone.
func (b *bySink) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.counted) == 0 {
		return
	}
	served := map[[3]string]struct{}{}
	for _, w := range b.dispatcher.allWorkers() {
		served[[3]string{w.channel.Namespace, w.channel.Name, w.sink}] = struct{}{}
	}
	for sink := range b.counted {
		if _, ok := served[sink]; !ok {
			b.DeletePartialMatch(prometheus.Labels{sinkLabels[0]: sink[0], sinkLabels[1]: sink[1], sinkLabels[2]: sink[2]})
			delete(b.counted, sink)
		}
	}
}

// backlog collects the state of every sink when it is asked, so that no series outlives its sink.
type backlog struct {
	dispatcher                        *Dispatcher
	pending, oldest, failing, outcome *prometheus.Desc
}

func newBacklog(d *Dispatcher) *backlog {
	labels := sinkLabels
	return &backlog{
		dispatcher: d,
		pending: prometheus.NewDesc("tiktok_operator_sink_pending_events",
			"Stored events that the sink has not taken yet.", labels, nil),
		oldest: prometheus.NewDesc("tiktok_operator_sink_oldest_pending_seconds",
			"Age of the oldest event that the sink has not taken yet; 0 if there is none.", labels, nil),
		failing: prometheus.NewDesc("tiktok_operator_sink_failing_seconds",
			"Time for which every attempt at the sink has failed; 0 if the last one was good.", labels, nil),
		outcome: prometheus.NewDesc("tiktok_operator_sink_last_outcome",
			"1, with how the last attempt at the sink ended, an outcome of tiktok_operator_deliveries_total; absent before the first.",
			append(slices.Clone(labels), "outcome"), nil),
	}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.pending
	ch <- b.oldest
	ch <- b.failing
	ch <- b.outcome
}

// Collect implements prometheus.Collector.
func (b *backlog) Collect(ch chan<- prometheus.Metric) {
	now := b.dispatcher.opts.Clock.Now()
	for _, w := range b.dispatcher.allWorkers() {
		pending, since := w.backlog()
		labels := []string{w.channel.Namespace, w.channel.Name, w.sink}
		ch <- prometheus.MustNewConstMetric(b.pending, prometheus.GaugeValue, float64(pending), labels...)
		ch <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, age(now, since), labels...)
		ch <- prometheus.MustNewConstMetric(b.failing, prometheus.GaugeValue, age(now, w.failingSince()), labels...)
		if last := w.lastOutcome(); last != "" {
			ch <- prometheus.MustNewConstMetric(b.outcome, prometheus.GaugeValue, 1, append(labels, string(last))...)
		}
	}
}

func age(now, since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since).Seconds(), 0)
}
