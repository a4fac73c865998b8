package main

import (
	"context"
	"maps"
	"time"
)

// watchIdle counts what happens while nothing is due.
func (f *fleet) watchIdle(ctx context.Context) error {
	say("Watching %d idle channels for %s", f.options.channels, f.idle)
	leases, err := f.businessLeases(ctx)
	if err != nil {
		return err
	}
	before, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	f.sim.ResetCalls()
	used := processorTime()["manager"]
	var resident []float64
	for end := time.Now().Add(f.idle); time.Now().Before(end); {
		now, _, err := memory(f.manager.PID())
		if err != nil {
			return err
		}
		resident = append(resident, now)
		if err := f.pause(ctx, min(time.Second, time.Until(end))); err != nil {
			return err
		}
	}
	used = processorTime()["manager"] - used
	after, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	leasesAfter, err := f.businessLeases(ctx)
	if err != nil {
		return err
	}
	writes, calls := after.since(before), f.sim.CountCalls("")
	f.report.add(
		atMost("idle channels: manager resident", median(resident), residentBudget, " MiB"),
		atMost("  API writes", float64(writes.total()), 0, ""),
		atMost("  calls to TikTok", float64(calls), 0, ""),
		told("  processor time of the manager", "%.1f%% of one", 100*used.Seconds()/f.idle.Seconds()))
	f.report.check(writes.total() == 0, "%d idle channels caused API writes in %s: %s", f.options.channels, f.idle, writes)
	f.report.check(maps.Equal(leases, leasesAfter), "Leases of idle channels changed")
	f.report.check(calls == 0, "%d idle channels caused %d calls to TikTok in %s", f.options.channels, calls, f.idle)

	// Prometheus asks for the state of every channel. The budget is without it, but it must be known.
	for range 3 {
		if !answers(ctx, f.metrics) {
			f.report.check(false, "the manager's metrics cannot be read")
		}
	}
	now, peak, err := memory(f.manager.PID())
	f.report.add(told("  resident after three scrapes (peak)", "%.0f MiB (%.0f MiB)", now, peak))
	return err
}
