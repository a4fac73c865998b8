package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const deliverBudget = 0.7 // of the reference's events a second

// delivery is the suite's state. Both sides deliver what was stored before, to one sink in this process.
type delivery struct {
	*stage
	options
	report   *report
	sink     *countingSink
	bare     string // URLs
	public   string
	channels []*v1alpha1.TiktokChannel
	next     int
}

// measureDeliver lets the webhook binary and the reference program empty a full log, in turns.
func measureDeliver(ctx context.Context, s *stage, o options, rep *report) error {
	d := &delivery{stage: s, options: o, report: rep}
	var err error
	if d.sink, err = s.openSink(ctx); err != nil {
		return err
	}
	if d.channels, err = s.createBusinesses(ctx, businesses, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Suspend = true // events are stored, and delivered when it ends
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "load", URI: d.sink.url}}
	}); err != nil {
		return err
	}
	if d.bare, err = s.startBare(ctx, "reference", "-dir="+filepath.Join(s.dir, "reference"), "-fsync=1s", "-sink="+d.sink.url); err != nil {
		return err
	}
	if _, d.public, err = s.startWebhook(ctx, filepath.Join(s.dir, "events"), "1s"); err != nil {
		return err
	}
	say("%d events are delivered a round, %d rounds", o.events, o.rounds)
	var reference, ours []float64
	for range o.rounds {
		perSecond, err := d.byReference(ctx)
		if err != nil {
			return err
		}
		reference = append(reference, perSecond)
		if perSecond, err = d.byWebhook(ctx); err != nil {
			return err
		}
		ours = append(ours, perSecond)
	}
	ratio := median(ours) / median(reference)
	rep.add(row{
		work: "events delivered to a sink", measured: number(median(ours)) + "/s", reference: number(median(reference)) + "/s",
		ratio: number(ratio), budget: "≥ " + number(deliverBudget), met: ratio >= deliverBudget,
	})
	return nil
}

func (d *delivery) byReference(ctx context.Context) (float64, error) {
	d.sink.forget()
	for _, path := range []string{fmt.Sprintf("/fill?from=%d&events=%d", d.next, d.events), fmt.Sprintf("/deliver?events=%d", d.events)} {
		if err := post(ctx, d.bare+path); err != nil {
			return 0, err
		}
	}
	d.next += d.events
	return d.sink.perSecond(), d.arrived(ctx)
}

func (d *delivery) byWebhook(ctx context.Context) (float64, error) {
	if err := d.fill(ctx); err != nil {
		return 0, err
	}
	d.sink.forget()
	if err := d.suspend(ctx, false); err != nil {
		return 0, err
	}
	if err := d.arrived(ctx); err != nil {
		return 0, err
	}
	perSecond := d.sink.perSecond()
	if err := d.suspend(ctx, true); err != nil {
		return 0, err
	}
	deliveries, messages := d.sink.received()
	wrong := d.sink.outOfOrder()
	d.report.check(wrong == 0, "%d of %d events overtook another of their conversation", wrong, messages)
	d.report.check(deliveries == messages, "%d events were delivered %d times although nothing failed", messages, deliveries)
	return perSecond, nil
}

// fill sends the webhooks of a round. Each conversation has a sender of its own, so that its order is that of the numbers.
func (d *delivery) fill(ctx context.Context) error {
	sender := newSender(d.public+"/webhooks/"+appName, conversations)
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		failure error
	)
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failure = fmt.Errorf("filling the log with webhooks: %w", err)
	}
	from, to := d.next, d.next+d.events
	d.next = to
	for conversation := range conversations {
		wg.Go(func() {
			for n := from + (conversation-from%conversations+conversations)%conversations; n < to; n += conversations {
				if err := sender.mustSend(ctx, message(n)); err != nil {
					fail(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return failure
}

func (d *delivery) suspend(ctx context.Context, suspend bool) error {
	for _, ch := range d.channels {
		base := ch.DeepCopy()
		ch.Spec.Suspend = suspend
		if err := d.k8s.Patch(ctx, ch, client.MergeFrom(base)); err != nil {
			return fmt.Errorf("setting spec.suspend: %w", err)
		}
	}
	return nil
}

// arrived waits until the sink has all events of the round, for as long as more arrive.
func (d *delivery) arrived(ctx context.Context) error {
	before, changed := 0, time.Now()
	return program.Wait(ctx, time.Hour, "all events at the sink", func() (bool, error) {
		_, messages := d.sink.received()
		if messages > before {
			before, changed = messages, time.Now()
		}
		if time.Since(changed) > time.Minute {
			return false, fmt.Errorf("%d of %d events have arrived, and no more for a minute", messages, d.events)
		}
		return messages >= d.events, nil
	})
}

func post(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the reference program: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the reference program answered %s", resp.Status)
	}
	return nil
}
