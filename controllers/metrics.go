package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Results of a refresh, as the metric's label.
const (
	resultSucceeded     = "succeeded"
	resultImported      = "imported"
	resultImportIgnored = "import_ignored"
	resultSuperseded    = "superseded"
	resultRefused       = "refused"
	resultAppRefused    = "app_refused"
	resultRateLimited   = "rate_limited"
	resultFailed        = "failed"
)

// Metrics are the manager's own.
type Metrics struct {
	refreshes *prometheus.CounterVec
}

// NewMetrics registers the manager's metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiktok_operator_token_refreshes_total",
			Help: "Token refreshes by result: succeeded, imported, import_ignored, superseded, refused, app_refused, rate_limited, failed.",
		}, []string{"result"}),
	}
	for _, result := range []string{
		resultSucceeded, resultImported, resultImportIgnored, resultSuperseded, resultRefused, resultAppRefused, resultRateLimited, resultFailed,
	} {
		m.refreshes.WithLabelValues(result) // a counter that appears only with its first failure cannot be alerted on
	}
	registry.MustRegister(m.refreshes)
	return m
}

func (m *Metrics) refreshed(result string) { m.refreshes.WithLabelValues(result).Inc() }

// ChannelCollector exports the state of channels and apps by listing the cache when it is scraped: there are no stale series.
type ChannelCollector struct {
	// Reader is the cache.
	Reader client.Reader
}

var (
	channelLabels     = []string{"namespace", "name"}
	accessExpiryDesc  = desc("channel_access_token_expiry_timestamp_seconds", "When the channel's access token ends, as a Unix time.", channelLabels)
	refreshExpiryDesc = desc("channel_refresh_token_expiry_timestamp_seconds", "When the channel's refresh token ends, as a Unix time.", channelLabels)
	nextRefreshDesc   = desc("channel_next_refresh_timestamp_seconds", "When the channel's next refresh is due, as a Unix time.", channelLabels)
	lastRefreshDesc   = desc("channel_last_refresh_timestamp_seconds", "When TikTok last issued tokens to the channel, as a Unix time.", channelLabels)
	failuresDesc      = desc("channel_refresh_failures", "Refreshes of the channel that failed in passing since the last success.", channelLabels)
	suspendedDesc     = desc("channel_suspended", "1 if the channel is suspended.", channelLabels)
	conditionDesc     = desc("channel_condition", "1 if the condition of the channel is True, 0 if not.",
		[]string{"namespace", "name", "type", "reason"})
	appConditionDesc = desc("app_condition", "1 if the condition of the TiktokApp is True, 0 if not.", []string{"name", "type", "reason"})
	appChannelsDesc  = desc("app_channels", "Channels that use the TiktokApp.", []string{"name"})
)

func desc(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("tiktok_operator_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *ChannelCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		accessExpiryDesc, refreshExpiryDesc, nextRefreshDesc, lastRefreshDesc, failuresDesc, suspendedDesc, conditionDesc,
		appConditionDesc, appChannelsDesc,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *ChannelCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var channels v1alpha1.TiktokChannelList
	if err := c.Reader.List(ctx, &channels, client.UnsafeDisableDeepCopy); err != nil {
		out <- prometheus.NewInvalidMetric(accessExpiryDesc, err)
		return
	}
	for i := range channels.Items {
		ch := &channels.Items[i]
		for d, t := range map[*prometheus.Desc]*metav1.Time{
			accessExpiryDesc: ch.Status.AccessTokenExpiresAt, refreshExpiryDesc: ch.Status.RefreshTokenExpiresAt,
			nextRefreshDesc: ch.Status.NextRefreshTime, lastRefreshDesc: ch.Status.LastRefreshTime,
		} {
			if t != nil {
				gauge(d, float64(t.Unix()), ch.Namespace, ch.Name)
			}
		}
		failures := int32(0)
		if f := ch.Status.RefreshFailures; f != nil {
			failures = f.Count
		}
		gauge(failuresDesc, float64(failures), ch.Namespace, ch.Name)
		gauge(suspendedDesc, flag(ch.Spec.Suspend), ch.Namespace, ch.Name)
		for _, cond := range ch.Status.Conditions {
			gauge(conditionDesc, flag(cond.Status == metav1.ConditionTrue), ch.Namespace, ch.Name, cond.Type, cond.Reason)
		}
	}
	var apps v1alpha1.TiktokAppList
	if err := c.Reader.List(ctx, &apps, client.UnsafeDisableDeepCopy); err != nil {
		out <- prometheus.NewInvalidMetric(appConditionDesc, err)
		return
	}
	for i := range apps.Items {
		app := &apps.Items[i]
		gauge(appChannelsDesc, float64(app.Status.Channels), app.Name)
		for _, cond := range app.Status.Conditions {
			gauge(appConditionDesc, flag(cond.Status == metav1.ConditionTrue), app.Name, cond.Type, cond.Reason)
		}
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
