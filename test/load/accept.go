package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	acceptBudget  = 0.8 // of the reference's requests a second
	latencyBudget = 1.5 // of the reference's 99th percentile
)

// measureAccept sends webhooks to the webhook binary and to the reference program in turns, in both modes of syncing to the disk.
func measureAccept(ctx context.Context, s *stage, o options, rep *report) error {
	channels, err := s.createBusinesses(ctx, businesses, nil)
	if err != nil {
		return err
	}
	for _, fsync := range []time.Duration{0, o.interval} {
		if err := s.acceptWith(ctx, o, rep, channels, fsync); err != nil {
			return err
		}
	}
	return nil
}

// side is one of the two that are compared.
type side struct {
	sender   *webhookSender
	next     atomic.Int64
	accepted []int
	refused  int
	perSec   []float64
	p99      []float64 // milliseconds
	// took is the time of the rounds, used what processes used of the processors meanwhile.
	took time.Duration
	used map[string]time.Duration
}

func newSide(url string, o options) *side {
	return &side{sender: newSender(url+"/webhooks/"+appName, o.senders), used: map[string]time.Duration{}}
}

func (s *stage) acceptWith(ctx context.Context, o options, rep *report, channels []*v1alpha1.TiktokChannel, fsync time.Duration) error {
	mode := map[bool]string{true: "always", false: fsync.String()}[fsync == 0]
	say("Webhooks are sent, fsync %s: %d rounds of %s each", mode, o.rounds, o.round)
	bareURL, err := s.startBare(ctx, "reference-"+mode, "-dir="+filepath.Join(s.dir, "reference-"+mode), "-secret="+appSecret, "-fsync="+fsync.String())
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "events-"+mode)
	webhook, public, err := s.startWebhook(ctx, data, mode)
	if err != nil {
		return err
	}
	reference := newSide(bareURL, o)
	ours := newSide(public, o)
	for round := range o.rounds + 1 {
		for _, x := range []*side{reference, ours} {
			if err := x.round(ctx, o, round == 0); err != nil {
				return err
			}
		}
	}
	perSec, p99 := median(ours.perSec)/median(reference.perSec), median(ours.p99)/median(reference.p99)
	rep.add(
		row{
			work: "webhooks accepted, fsync " + mode, measured: number(median(ours.perSec)) + "/s", reference: number(median(reference.perSec)) + "/s",
			ratio: number(perSec), budget: "≥ " + number(acceptBudget), met: perSec >= acceptBudget,
		},
		row{
			work: "  99th percentile", measured: fmt.Sprintf("%.1f ms", median(ours.p99)), reference: fmt.Sprintf("%.1f ms", median(reference.p99)),
			ratio: number(p99), budget: "≤ " + number(latencyBudget), met: p99 <= latencyBudget,
		})
	rep.check(reference.refused == 0 && ours.refused == 0, "fsync %s: %d webhooks were refused, %d by the reference",
		mode, ours.refused, reference.refused)
	rep.note("fsync %s, of one processor: while the reference accepted: %s; while the webhook binary did: %s.", mode,
		shares(reference.used, reference.took), shares(ours.used, ours.took))
	webhook.Kill() // what was acknowledged must be there whatever happens to the process
	return checkLog(ctx, data, channels, ours.accepted, rep)
}

// round sends for a while. The first one warms up, and counts for nothing but the check.
func (x *side) round(ctx context.Context, o options, warming bool) error {
	length := o.round
	if warming {
		length = min(length, 2*time.Second)
	}
	before, end := processorTime(), time.Now().Add(length)
	result, err := x.sender.sendMany(ctx, o.senders, &x.next, func() bool { return time.Now().After(end) })
	if err != nil {
		return err
	}
	x.accepted, x.refused = append(x.accepted, result.accepted...), x.refused+result.refused
	if !warming {
		x.took += result.took
		for name, now := range processorTime() {
			x.used[name] += now - before[name]
		}
		x.perSec = append(x.perSec, float64(len(result.accepted))/result.took.Seconds())
		slices.Sort(result.latencies)
		x.p99 = append(x.p99, result.latencies[len(result.latencies)*99/100].Seconds()*1000)
	}
	return nil
}

// checkLog opens the data directory of a webhook binary that was killed, and looks for every message that it had answered with 200.
func checkLog(ctx context.Context, dir string, channels []*v1alpha1.TiktokChannel, accepted []int, rep *report) (err error) {
	log, err := eventlog.Open(ctx, eventlog.Options{DataDir: dir})
	if err != nil {
		return fmt.Errorf("opening the event log of the killed process: %w", err)
	}
	defer func() { err = closing(err, log) }()
	times := map[int]int{}
	for _, ch := range channels {
		for after, more := (eventlog.Position{}), true; more; {
			var events []*eventlog.Stored
			events, more, err = log.Events(ctx, eventlog.Query{ChannelUID: string(ch.UID), After: after, Limit: 500, MaxBytes: 4 << 20})
			if err != nil {
				return fmt.Errorf("reading the event log: %w", err)
			}
			for _, e := range events {
				times[numberOf(e.Body)]++
				after.Sequence = e.Sequence
			}
		}
	}
	missing, twice := 0, 0
	for _, n := range accepted {
		if times[n] == 0 {
			missing++
		}
	}
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	rep.add(told("  answered 200, then killed: lost, double", "%d: %d, %d", len(accepted), missing, twice))
	rep.check(missing == 0, "%d of %d webhooks that were answered 200 are not in the log", missing, len(accepted))
	rep.check(twice == 0, "%d webhooks are in the log more than once", twice)
	return nil
}
