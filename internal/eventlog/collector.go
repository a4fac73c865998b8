package eventlog

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collectTimeout bounds what a scrape waits for the server.
const collectTimeout = 2 * time.Second

var (
	bytesDesc = prometheus.NewDesc("tiktok_operator_event_log_bytes",
		"Bytes that the event log holds, by part: events, unrouted (of businesses without a channel), dead_letters, jobs; and ids, those by which the "+
			"embedded NATS server recognises what it has, in memory, each counted as 256.",
		[]string{"part"}, nil)
	limitDesc = prometheus.NewDesc("tiktok_operator_event_log_limit_bytes",
		"Bytes that the part of the event log may hold, by --event-log-max-bytes and the free disk, ids by the memory limit; absent if none bounds it.",
		[]string{"part"}, nil)
)

// Collector exports how full a log is, by measuring it when it is scraped. While the log cannot be asked there are no series: a scrape that
// failed would take all other metrics with it.
type Collector struct{ Log *Log }

// Describe implements prometheus.Collector.
func (*Collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- bytesDesc
	descs <- limitDesc
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	all, err := c.Log.Usage(ctx)
	if err != nil {
		c.Log.opts.Log.V(1).Info("the event log cannot be measured", "reason", err.Error())
	}
	for _, u := range all {
		out <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(u.Bytes), u.Part)
		if u.Limit > 0 {
			out <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(u.Limit), u.Part)
		}
	}
}
