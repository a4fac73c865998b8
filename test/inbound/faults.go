package inbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Fault is what goes wrong in a run.
type Fault struct {
	Name string
	// servers of an external NATS, each a process of its own; 0 means the embedded one.
	servers int
	// replicas of the webhook binary; 0 means one. More need an external NATS.
	replicas int
	// prepare changes the scene before the webhook binary starts.
	prepare func(s *scene) error
	// strike happens while webhooks are sent.
	strike func(ctx context.Context, s *scene) error
	// refusals are what TikTok may see beside 200 and 503: statuses, or noAnswer.
	refusals []int
	// verify looks at more than the account when all is over and the webhook binary has ended.
	verify func(ctx context.Context, s *scene, row *Row) error
}

// Faults are all of them.
func Faults() []Fault {
	return []Fault{
		{Name: "none"},
		{Name: "webhook binary killed (SIGKILL)", strike: killed, refusals: []int{noAnswer}},
		{Name: "webhook binary restarted (SIGTERM)", strike: restarted, refusals: []int{noAnswer}},
		{Name: "replica killed (SIGKILL)", servers: 3, replicas: 3, strike: replicaKilled, refusals: []int{noAnswer}},
		{Name: "replica restarted (SIGTERM)", servers: 3, replicas: 3, strike: replicaRestarted, refusals: []int{noAnswer}},
		{Name: "replica paused", servers: 3, replicas: 2, strike: replicaPaused, refusals: []int{noAnswer}},
		{Name: "NATS away", servers: 1, strike: withoutNATS},
		{Name: "NATS leader lost", servers: 3, replicas: 2, strike: leaderLost},
		{
			Name: "replica restarted, NATS leader lost", servers: 3, replicas: 3, strike: replicaRestartedWithoutLeader,
			refusals: []int{noAnswer},
		},
		{Name: "NATS leader cut off", servers: 3, replicas: 2, strike: leaderCutOff},
		{Name: "NATS leader hangs", servers: 3, replicas: 2, strike: leaderHangs},
		{Name: "disk full", prepare: smallDiskFor, strike: fullDisk},
		{Name: "a sink dead", strike: deadSink},
		{Name: "a sink slow", prepare: slowSink},
		{Name: "a sink that fails at random", prepare: randomSink},
		{Name: "poison events", prepare: poison, verify: deadLetters},
		{Name: "API server away", prepare: fromTheAPIServer, strike: withoutAPI},
		{Name: "channels authorized, replica behind", servers: 3, replicas: 3, prepare: unauthorized, strike: authorizedBehind},
		{Name: "app closed to the namespace", strike: appClosed},
		{Name: "clock moved by ten minutes", strike: clockMoved, refusals: []int{http.StatusUnauthorized}},
		{Name: "clocks ten minutes apart", prepare: clocks, refusals: []int{http.StatusUnauthorized}, verify: refusedByTime},
	}
}

// killed kills the process in the midst of its work, each time as soon as the share of another crash is acknowledged.
func killed(ctx context.Context, s *scene) error {
	for i := range s.o.Crashes {
		if err := s.sender.reached(ctx, i+1, s.o.Crashes+1); err != nil {
			return err
		}
		if err := s.kill(ctx); err != nil {
			return err
		}
		if err := s.webhook.start(ctx); err != nil {
			return err
		}
	}
	s.note("killed %d times", s.o.Crashes)
	return nil
}

// restarted ends the process as a rollout does. That excuses nothing.
func restarted(ctx context.Context, s *scene) error {
	for i := range s.o.Crashes {
		if err := s.sender.reached(ctx, i+1, s.o.Crashes+1); err != nil {
			return err
		}
		if err := s.webhook.Stop(time.Minute); err != nil {
			return err
		}
		if err := s.webhook.start(ctx); err != nil {
			return err
		}
	}
	s.note("restarted %d times", s.o.Crashes)
	return nil
}

// withoutNATS kills the external NATS server, and starts it again later.
func withoutNATS(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	server := s.nats.servers[0]
	server.Kill()
	if err := s.until(ctx, "the webhook binary to say that it is not ready", func() bool { return !s.webhook.ready(ctx) }); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	if err := server.start(ctx); err != nil {
		return err
	}
	s.note("killed, and away for %s", s.o.Away)
	return s.until(ctx, "the webhook binary to be ready again", func() bool { return s.webhook.ready(ctx) })
}

func smallDiskFor(s *scene) (err error) {
	if s.disk, err = mountSmallDisk(s.data(), filepath.Join(s.dir, "disk.log")); err != nil {
		return err
	}
	s.webhook.command, err = s.disk.on(s.webhook.command)
	return err
}

// fullDisk fills the disk, until webhooks are refused, and makes room again.
func fullDisk(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	s.sender.hold() // a slow machine takes longer for this than for the other events
	full := s.disk.fill(1 << 20)
	s.sender.resume()
	// A twentieth is kept free, 2.4 MiB here. The log may clean up behind itself: that is taken, too.
	refused := func() bool {
		full = errors.Join(full, s.disk.fill(1<<20))
		return full != nil || s.sender.refusals(http.StatusServiceUnavailable) >= s.o.Conversations
	}
	if err := errors.Join(s.until(ctx, "webhooks to be refused", refused), full); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	ready := func() bool { return s.webhook.ready(ctx) } // it still delivers
	if err := s.until(ctx, "the webhook binary whose disk is full to be ready", ready); err != nil {
		return err
	}
	s.note("a volume of %d MiB, full for %s", smallDiskMiB, s.o.Away)
	return s.disk.free()
}

// diskFullAtOnce is somebody else who takes the last byte between two looks of the event log at the free space: the server's own writes fail.
// Where the process says that it cannot go on, it is started again, as the kubelet does.
func diskFullAtOnce(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	s.sender.hold()
	err := s.disk.fill(0)
	s.sender.resume()
	if err != nil {
		return err
	}
	refused := func() bool { return s.sender.refusals(http.StatusServiceUnavailable) >= s.o.Conversations }
	if err := s.until(ctx, "webhooks to be refused", refused); err != nil {
		return err
	}
	if err := s.disk.free(); err != nil {
		return err
	}
	before := s.sender.done.Load()
	return s.until(ctx, "webhooks to be acknowledged again", func() bool {
		if status, err := get(ctx, s.webhook.probes+"/healthz"); err == nil && status != http.StatusOK {
			if err := errors.Join(s.kill(ctx), s.webhook.start(ctx)); err != nil {
				return false
			}
		}
		return s.sender.done.Load() > before
	})
}

// withoutAPI cuts the webhook binary off from the API server, until everything has been sent and has arrived. Somebody's forged webhook, which
// makes it look at the app's secret again, must not change anything.
func withoutAPI(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 10); err != nil {
		return err
	}
	// What was never read cannot be gone on with.
	err := s.within(ctx, takeOver, "both sinks to have something", func() bool { return s.steady.count() > 0 && s.troubled.count() > 0 })
	if err != nil {
		return err
	}
	s.proxies[0].cut()
	if status, err := s.sender.forge(ctx); err != nil || status == http.StatusOK {
		return fmt.Errorf("a forged webhook was answered %d (%w)", status, err)
	}
	if err := s.sender.reached(ctx, 1, 2); err != nil {
		return err
	}
	s.sender.hold() // so that some are sent when it has been away for long
	err = s.pass(ctx)
	s.sender.resume()
	if err != nil {
		return err
	}
	for _, to := range s.sinks() {
		if err := s.moving(ctx, "deliveries without the API server", func() int64 { return int64(to.count()) }, int64(s.o.Events)); err != nil {
			return err
		}
	}
	s.note("away from the first tenth of the events until the last one had arrived, with %s between its two halves", s.o.Away)
	s.proxies[0].restore()
	return nil
}

// appClosed has the app not allow the namespace any more, and allow it again when everything is stored. Nothing is delivered meanwhile, and nothing
// twice.
func appClosed(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	s.sender.hold()
	err := s.allow(ctx, v1alpha1.NamespacesNone)
	if err == nil {
		err = s.settled(ctx)
	}
	s.sender.resume()
	if err != nil {
		return err
	}
	before := s.steady.requests() + s.troubled.requests()
	if err := s.moving(ctx, "acknowledgements", s.sender.done.Load, int64(s.o.Events)); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	if more := s.steady.requests() + s.troubled.requests() - before; more > 0 {
		return fmt.Errorf("%d deliveries although the app does not allow the namespace", more)
	}
	s.note("closed after a third of the events, until all were acknowledged, and for %s more", s.o.Away)
	return s.allow(ctx, v1alpha1.NamespacesAll)
}

// settled waits until the sinks are asked no more.
func (s *scene) settled(ctx context.Context) error {
	for last, now := -1, 0; now != last; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quiet):
		}
		last, now = now, s.steady.requests()+s.troubled.requests()
	}
	return nil
}

// clocks moves TikTok's clock: what it signs, and what it says of events. A quarter of the events is signed ten minutes in the past, which is
// within the tolerance; of the others that are off, the first attempt is not.
func clocks(s *scene) error {
	s.sender.clock = func(e Event, attempt int) time.Duration {
		switch {
		case e.Number%4 == 1:
			return -10 * time.Minute
		case e.Number%4 == 2 && attempt == 0:
			return 10 * time.Minute
		case e.Number%4 == 3 && attempt == 0:
			return -(72*time.Hour + 10*time.Minute)
		default:
			return 0
		}
	}
	s.note("a quarter is signed 10 minutes in the past and accepted; a quarter is signed 10 minutes in the future and a quarter 10 minutes " +
		"beyond the tolerance of 72 h, and accepted once the clock is right")
	return nil
}

func refusedByTime(_ context.Context, s *scene, row *Row) error {
	want := 0
	for n := range s.o.Events {
		if quarter := n / s.o.Conversations % 4; quarter > 1 {
			want++
		}
	}
	if got := row.Refused[http.StatusUnauthorized]; got != want {
		return fmt.Errorf("%d webhooks were refused for their time, want %d", got, want)
	}
	return nil
}
