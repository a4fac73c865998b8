package eventlog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

// scrape is what a log's collector exports, as "bytes events" and "limit events".
func scrape(t *testing.T, l *eventlog.Log) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&eventlog.Collector{Log: l})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	short := map[string]string{"tiktok_operator_event_log_bytes": "bytes ", "tiktok_operator_event_log_limit_bytes": "limit "}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[short[f.GetName()]+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return values
}

func TestUsageSaysHowFullTheLogIs(t *testing.T) {
	const limit = 64 << 10
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MaxBytes: limit})
	before := scrape(t, l)
	if before["bytes events"] != 0 || before["limit events"] != limit || before["limit unrouted"] != 16<<20 {
		t.Errorf("an empty log of at most %d bytes exports %v", limit, before)
	}
	for i := range 1000 {
		r := record(fmt.Sprintf("m%d", i))
		r.Body = []byte(strings.Repeat("x", 1000))
		if _, err := l.Append(t.Context(), r); err != nil {
			break // it is full
		}
	}
	full := scrape(t, l)
	if full["bytes events"] < limit*9/10 || full["bytes events"] > limit || full["bytes unrouted"] != 0 {
		t.Errorf("a full log exports %v", full)
	}
}

func TestUsageIsBoundedByTheDisk(t *testing.T) {
	// More than any disk has is kept free, but for the share that small volumes keep: what is free beyond that bounds the log.
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MinFreeBytes: 1 << 60})
	for part, u := range usages(t, l) {
		if part != "ids" && u.Limit <= u.Bytes { // no memory limit bounds those
			t.Errorf("%s: %+v, and there is room", part, u)
		}
	}
	l = open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MaxBytes: 1 << 50})
	if u := usages(t, l)["events"]; u.Limit == 0 || u.Limit >= 1<<50 {
		t.Errorf("%+v: no disk has room for that", u)
	}
}

func usages(t *testing.T, l *eventlog.Log) map[string]eventlog.Usage {
	t.Helper()
	all, err := l.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]eventlog.Usage{}
	for _, u := range all {
		parts[u.Part] = u
	}
	if len(parts) != 5 {
		t.Errorf("the parts are %v", parts)
	}
	return parts
}

func TestUsageOfAnExternalServerIsUnboundedUnlessTheOptionsSayOtherwise(t *testing.T) {
	ns := eventlogtest.Server(t, &server.Options{})
	l := open(t, eventlog.Options{URL: ns.ClientURL()})
	appendRecord(t, l, record("m1"))
	values := scrape(t, l)
	if _, ok := values["limit events"]; ok || values["bytes events"] == 0 {
		t.Errorf("exported: %v", values)
	}
	ns.Shutdown()
	ns.WaitForShutdown()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := l.Usage(ctx); err == nil {
		t.Error("a server that is away was measured")
	}
}
