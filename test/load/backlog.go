package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	backlogConversations = 10_000
	fillers              = 100
	// settle is how long a state is watched before its memory is read.
	settle = 20 * time.Second
)

// backlogged is the suite's state.
type backlogged struct {
	*stage
	options
	report   *report
	channels []*v1alpha1.TiktokChannel
	sink     *countingSink
	address  string // of the sink
	metrics  string // of the webhook binary
	data     string
}

// measureBacklog fills the event log while a sink is dead, and reads the memory of the webhook binary before, with the backlog, and while the
// sink, which came back, takes a part of it.
func measureBacklog(ctx context.Context, s *stage, o options, rep *report) error {
	b := &backlogged{stage: s, options: o, report: rep, sink: &countingSink{distinct: map[int]bool{}}, data: filepath.Join(s.dir, "events")}
	ports, err := program.Ports(2)
	if err != nil {
		return err
	}
	b.address, b.metrics = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	if b.channels, err = s.createBusinesses(ctx, o.backlogChannels, func(ch *v1alpha1.TiktokChannel) {
		backoff := &v1alpha1.Backoff{Min: &metav1.Duration{Duration: time.Second}, Max: &metav1.Duration{Duration: 2 * time.Second}}
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "load", URI: "http://" + b.address + "/", Delivery: &v1alpha1.Delivery{Backoff: backoff}}}
	}); err != nil {
		return err
	}
	say("The webhook binary is watched with an empty log")
	webhook, _, err := s.startWebhook(ctx, b.data, "1s", "--metrics-bind-address="+b.metrics)
	if err != nil {
		return err
	}
	if err := b.watch(ctx, webhook, "webhook binary, empty log"); err != nil {
		return err
	}
	if err := webhook.Stop(time.Minute); err != nil {
		return err
	}
	say("%d events are put into the log", o.backlog)
	if err := b.fill(ctx); err != nil {
		return err
	}
	say("The webhook binary is started on it; the sink is dead")
	began := time.Now()
	if webhook, _, err = s.startWebhook(ctx, b.data, "1s", "--metrics-bind-address="+b.metrics); err != nil {
		return err
	}
	rep.add(told("  start on "+number(float64(o.backlog))+" events, until ready", "%s", time.Since(began).Round(100*time.Millisecond)))
	if err := b.watch(ctx, webhook, fmt.Sprintf("webhook binary, %d events wait", o.backlog)); err != nil {
		return err
	}
	return b.drain(ctx, webhook)
}

// watch reads the memory after a while.
func (b *backlogged) watch(ctx context.Context, webhook *program.Process, work string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-webhook.Done():
		return errors.New("the webhook binary has ended")
	case <-time.After(settle):
	}
	resident, peak, err := memory(webhook.PID())
	if err != nil {
		return err
	}
	b.report.add(told(work+": resident, at most since the start", "%.0f MiB, %.0f MiB", resident, peak))
	return b.tellInUse(ctx)
}

// tellInUse reports what of the memory cannot be collected. The rest of the resident memory is what the garbage collector leaves until it is
// needed, within its limit. What reading the metrics itself takes is not in the resident memory, which is read before.
func (b *backlogged) tellInUse(ctx context.Context) error {
	used, err := gauge(ctx, "http://"+b.metrics+"/metrics", "go_gc_heap_live_bytes")
	if err != nil {
		return err
	}
	b.report.add(told("  in use after the last collection", "%.0f MiB", used/(1<<20)))
	return nil
}

// fill stores events by the product's own API. Each conversation is filled by one goroutine, so that its order is that of the numbers.
func (b *backlogged) fill(ctx context.Context) (err error) {
	log, err := eventlog.Open(ctx, eventlog.Options{DataDir: b.data, Fsync: eventlog.Fsync(time.Second)})
	if err != nil {
		return fmt.Errorf("opening the event log: %w", err)
	}
	defer func() { err = closing(err, log) }()
	began := time.Now()
	var wg sync.WaitGroup
	var failure atomic.Pointer[error]
	for first := range fillers {
		wg.Go(func() {
			for n := first; n < b.backlog && failure.Load() == nil; n += fillers { // fillers divides backlogConversations
				if err := b.store(ctx, log, n); err != nil {
					failure.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return fmt.Errorf("filling the log: %w", *err)
	}
	say("That took %s", time.Since(began).Round(time.Second))
	return nil
}

func (b *backlogged) store(ctx context.Context, log *eventlog.Log, n int) error {
	body := messageOf(n, backlogConversations)
	envelope, err := tiktok.DecodeEnvelope(body)
	if err != nil {
		return err
	}
	id, conversation := cloudevent.Identify(envelope, body)
	_, err = log.Append(ctx, eventlog.Record{
		ID: id, App: appName, BusinessID: envelope.UserOpenID, ChannelUID: string(b.channels[n%backlogConversations%b.backlogChannels].UID),
		Conversation: conversation, Event: envelope.Event, ReceivedAt: time.Now(), Body: body,
	})
	return err
}

// drain brings the sink to life until it has a twentieth of the events.
func (b *backlogged) drain(ctx context.Context, webhook *program.Process) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", b.address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: b.sink, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	b.onClose(server.Close)
	part := max(b.backlog/20, 1)
	say("The sink is back; %d events are delivered", part)
	forgetPeak(webhook.PID())
	err = program.Wait(ctx, 30*time.Minute, "a part of the backlog at the sink", func() (bool, error) {
		_, messages := b.sink.received()
		return messages >= part, nil
	})
	if err != nil {
		return err
	}
	resident, peak, err := memory(webhook.PID())
	if err != nil {
		return err
	}
	_, messages := b.sink.received()
	b.report.add(
		told("webhook binary, "+number(float64(messages))+" of them delivered: resident, at most meanwhile", "%.0f MiB, %.0f MiB", resident, peak),
		told("  events delivered a second", "%s", number(b.sink.perSecond())),
	)
	if err := b.tellInUse(ctx); err != nil {
		return err
	}
	webhook.Kill() // it would go on
	deliveries, messages := b.sink.received()
	wrong := b.sink.outOfOrderIn(backlogConversations)
	b.report.check(wrong == 0, "%d of %d events overtook another of their conversation", wrong, messages)
	b.report.check(deliveries == messages, "%d events were delivered %d times although nothing failed", messages, deliveries)
	return nil
}
