package inbound

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	deliveryTimeout = 10 * time.Second
	// stall is after how long without anything new a run gives up.
	stall = 90 * time.Second
	// reach is how far before a crash a delivery may lie that is repeated after it. Positions are stored every tenth of a second; the rest is
	// for a machine that is busy.
	reach = 5 * time.Second
	// quiet is after how long without a request all that were on their way have arrived.
	quiet = 100 * time.Millisecond
)

// Options of a run.
type Options struct {
	Cluster Cluster
	// Binaries is the directory that holds the webhook and nats-server binaries, Dir one that the run may fill.
	Binaries, Dir string
	// Events in all, of so many conversations.
	Events, Conversations int
	// Away is how long something stays away that comes back.
	Away time.Duration
	// Crashes is how often something is killed that is killed more than once.
	Crashes int
}

// scene is one run: an app and its channels, the webhook binary, two sinks, and TikTok. Runs share nothing but the control plane.
type scene struct {
	o    Options
	name string
	dir  string
	// The fault of a sink is the troubled one's; the steady one must notice nothing.
	steady, troubled *sink
	channels         []*v1alpha1.TiktokChannel
	nats             *external
	disk             *smallDisk
	// webhook is the first of the replicas, and the only one unless there is an external NATS. proxies are their ways to the API server.
	webhook  *webhook
	replicas []*webhook
	proxies  []*proxy
	sender   *sender
	excuses  []Excuse
	dead     map[string]map[Event]bool
	notes    []string
}

var scenes atomic.Int64

func (s *scene) operator() string { return s.name + "-operator" }
func (s *scene) sinks() []*sink   { return []*sink{s.steady, s.troubled} }
func (s *scene) data() string     { return filepath.Join(s.dir, "events") }

func (s *scene) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Run takes a fault. The error says that the run could not be made or did not come to its end; what came of it is in the Row.
func (f Fault) Run(ctx context.Context, o Options) (row Row, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &scene{o: o, name: fmt.Sprintf("inbound-%d-%d", os.Getpid(), scenes.Add(1)), dead: map[string]map[Event]bool{}}
	s.dir = filepath.Join(o.Dir, s.name)
	defer func() {
		s.close()
		if err != nil && s.webhook != nil {
			err = fmt.Errorf("%s: %w%s", f.Name, err, s.logTails())
		}
	}()
	if err := s.open(ctx, f); err != nil {
		return row, err
	}
	began := time.Now()
	err = s.take(ctx, cancel, f)
	row = s.row(f, time.Since(began))
	if err == nil && f.verify != nil {
		err = f.verify(ctx, s, &row)
	}
	row.Notes = s.notes
	return row, err
}

// open puts up everything.
func (s *scene) open(ctx context.Context, f Fault) (err error) {
	if err := os.MkdirAll(s.data(), 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	if s.steady, err = openSink("steady"); err != nil {
		return err
	}
	if s.troubled, err = openSink("troubled"); err != nil {
		return err
	}
	if err := s.create(ctx, f); err != nil {
		return err
	}
	storage := "--data-dir=" + s.data()
	if f.servers > 0 {
		if s.nats, err = openNATS(ctx, filepath.Join(s.o.Binaries, "nats-server"), s.dir, f.servers); err != nil {
			return err
		}
		storage = "--nats-url=" + s.nats.urls(nil)
	}
	var urls []string
	for i := range max(1, f.replicas) {
		way, err := openProxy(ctx, s.o.Cluster.Host)
		if err != nil {
			return err
		}
		s.proxies = append(s.proxies, way)
		kubeconfig, err := kubeconfigFor(filepath.Join(s.dir, fmt.Sprintf("kubeconfig-%d", i)), s.o.Cluster, way.address())
		if err != nil {
			return err
		}
		log := filepath.Join(s.dir, fmt.Sprintf("webhook-%d.log", i))
		w, err := newWebhook(filepath.Join(s.o.Binaries, "webhook"), kubeconfig, s.operator(), s.name, log, storage)
		if err != nil {
			return err
		}
		s.replicas, urls = append(s.replicas, w), append(urls, w.public+"/webhooks/"+s.name)
	}
	s.webhook = s.replicas[0]
	s.sender = newSender(urls, s.o, func(e Event, at time.Time) []byte {
		return message(s.name, s.business(e.Conversation), e, at)
	})
	if f.prepare != nil {
		if err := f.prepare(s); err != nil {
			return err
		}
	}
	for _, w := range s.replicas {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	if f.replicas > 1 {
		return s.nats.divided(ctx, f.replicas)
	}
	return nil
}

// take sends, lets the fault happen, and waits until everything that was acknowledged has arrived.
func (s *scene) take(ctx context.Context, cancel func(), f Fault) error {
	sent, struck := make(chan error, 1), make(chan error, 1)
	go func() { sent <- s.sender.run(ctx) }()
	go func() {
		var err error
		if f.strike != nil {
			err = f.strike(ctx, s)
		}
		if err != nil {
			cancel() // nobody waits any more
		}
		struck <- err
	}()
	err := s.moving(ctx, "acknowledgements", s.sender.done.Load, int64(s.o.Events))
	if err != nil {
		cancel()
	}
	err = errors.Join(<-struck, err, <-sent)
	for _, to := range s.sinks() {
		if err == nil {
			err = s.moving(ctx, "deliveries to the sink "+to.name, func() int64 { return int64(to.count()) }, int64(s.o.Events-len(s.dead[to.name])))
		}
	}
	// The processes end in good order, so that nothing is under way any more.
	for _, w := range s.replicas {
		err = errors.Join(err, w.Stop(time.Minute))
	}
	return err
}

// moving waits until a count is reached, for as long as it grows.
func (s *scene) moving(ctx context.Context, what string, count func() int64, want int64) error {
	last, changed := int64(-1), time.Now()
	for {
		now := count()
		if now >= want {
			return nil
		}
		if now != last {
			last, changed = now, time.Now()
		}
		if time.Since(changed) > stall+s.o.Away {
			return fmt.Errorf("%d of %d %s, and no more for %s", now, want, what, stall+s.o.Away)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill kills the webhook binary, and excuses the repetitions that this may cause. What was on its way to the sinks has arrived afterwards.
func (s *scene) kill(ctx context.Context) error {
	began := time.Now()
	s.webhook.Kill()
	if err := s.settled(ctx); err != nil {
		return err
	}
	s.excuse("", began)
	return nil
}

// excuse excuses the repetitions that an accident may cause, which began then and is over now.
func (s *scene) excuse(sink string, began time.Time) {
	s.excuses = append(s.excuses, Excuse{Sink: sink, From: began.Add(-reach), Began: began, Over: time.Now()})
}

// pass waits for the time that something stays away.
func (s *scene) pass(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.o.Away):
		return nil
	}
}

// until waits for a condition.
func (s *scene) until(ctx context.Context, what string, ok func() bool) error {
	return s.within(ctx, stall, what, ok)
}

// within is until with a limit of its own.
func (s *scene) within(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain for %s", limit.Round(time.Second), what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (s *scene) close() {
	for _, w := range s.replicas {
		if w.Process != nil {
			w.Kill()
		}
	}
	if s.disk != nil {
		s.disk.keeper.Kill()
	}
	if s.nats != nil {
		s.nats.close()
	}
	for _, to := range s.sinks() {
		if to != nil {
			to.die()
		}
	}
	for _, way := range s.proxies {
		way.close()
	}
}

// logTails are the ends of all logs, for a test that failed.
func (s *scene) logTails() string {
	var b strings.Builder
	for i, w := range s.replicas {
		fmt.Fprintf(&b, "\nthe log of webhook binary %d ends:\n%s", i, tail(w.log))
	}
	if s.nats != nil {
		for _, n := range s.nats.servers {
			fmt.Fprintf(&b, "\nthe log of %s ends:\n%s", n.name, tail(n.dir+".log"))
		}
	}
	return b.String()
}
