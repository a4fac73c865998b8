package inbound

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Fault is what goes wrong in a run.
type Fault struct {
	Name string
	// external uses a NATS server of its own process instead of the embedded one.
	external bool
	// prepare changes the scene before the webhook binary starts.
	prepare func(s *scene) error
	// strike happens while webhooks are sent.
	strike func(ctx context.Context, s *scene) error
	// refusals are the statuses that TikTok may see beside 200 and 503.
	refusals []int
	// verify looks at more than the account when all is over and the webhook binary has ended.
	verify func(ctx context.Context, s *scene, row *Row) error
}

// Faults are all of them.
func Faults() []Fault {
	return []Fault{
		{Name: "none"},
		{Name: "webhook binary killed (SIGKILL)", strike: killed},
		{Name: "webhook binary restarted (SIGTERM)", strike: restarted},
		{Name: "NATS away", external: true, strike: withoutNATS},
		{Name: "disk full", prepare: smallDiskFor, strike: fullDisk},
		{Name: "a sink dead", strike: deadSink},
		{Name: "a sink slow", prepare: slowSink},
		{Name: "a sink that fails at random", prepare: randomSink},
		{Name: "poison events", prepare: poison, verify: deadLetters},
		{Name: "API server away", strike: withoutAPI},
		{Name: "clocks ten minutes apart", prepare: clocks, refusals: []int{http.StatusUnauthorized}, verify: refusedByTime},
	}
}

// killed kills the process in the midst of its work, each time as soon as the share of another crash is acknowledged.
func killed(ctx context.Context, s *scene) error {
	for i := range s.o.Crashes {
		if err := s.sender.reached(ctx, i+1, s.o.Crashes+1); err != nil {
			return err
		}
		s.webhook.Kill()
		s.crashed()
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
	s.nats.Kill()
	if err := s.until(ctx, "the webhook binary to say that it is not ready", func() bool { return !s.webhook.ready(ctx) }); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	if err := s.nats.start(ctx); err != nil {
		return err
	}
	s.note("killed, and away for %s", s.o.Away)
	return s.until(ctx, "the webhook binary to be ready again", func() bool { return s.webhook.ready(ctx) })
}

func smallDiskFor(s *scene) error {
	command, err := onSmallDisk(s.data(), s.webhook.command)
	if err != nil {
		return err
	}
	s.webhook.command = command
	s.disk = &smallDisk{dir: s.data(), pid: func() int { return s.webhook.PID() }}
	return nil
}

// fullDisk fills the disk, until webhooks are refused, and makes room again.
func fullDisk(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	if err := s.disk.fill(1 << 20); err != nil { // a twentieth is kept free, 2.4 MiB here
		return err
	}
	refused := func() bool { return s.sender.refusals(http.StatusServiceUnavailable) >= s.o.Conversations }
	if err := s.until(ctx, "webhooks to be refused", refused); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	if !s.webhook.ready(ctx) {
		return errors.New("a webhook binary whose disk is full must stay ready: it still delivers")
	}
	s.note("a volume of %d MiB, full for %s", smallDiskMiB, s.o.Away)
	return s.disk.free()
}

// deadSink ends a sink, and brings it back when the other one has everything.
func deadSink(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	s.troubled.die()
	s.excuse(s.troubled.name) // what it took and could not say any more
	before := s.troubled.count()
	if err := s.moving(ctx, "deliveries to the other sink", func() int64 { return int64(s.steady.count()) }, int64(s.o.Events)); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	s.note("dead with %d of its events to come, until the other sink had everything, and for %s more", s.o.Events-before, s.o.Away)
	return s.troubled.revive(ctx)
}

// slowSink takes a while for each event, and of some the first time so long that the dispatcher gives up.
func slowSink(s *scene) error {
	s.troubled.behave = func(ctx context.Context, e Event, before int) int {
		wait := 50 * time.Millisecond
		if before == 0 && e.Number == 0 && e.Conversation%25 == 0 {
			wait = time.Minute
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		return http.StatusNoContent
	}
	s.note("50 ms an event; one in 25 conversations begins with an event that it does not answer at all the first time")
	return nil
}

// randomSink fails one attempt in five, in all the ways that ask for another.
func randomSink(s *scene) error {
	failures := []int{500, 500, 502, 503, 504, http.StatusTooManyRequests, http.StatusRequestTimeout}
	s.troubled.behave = func(_ context.Context, e Event, before int) int {
		h := fnv.New32a()
		fmt.Fprint(h, e, before)
		if n := int(h.Sum32() >> 3); n%5 == 0 {
			return failures[n/5%len(failures)]
		}
		return http.StatusNoContent
	}
	s.note("one attempt in five is answered 500, 502, 503, 504, 429 or 408")
	return nil
}

const poisonAttempts = 3

// poison makes one sink refuse some events for good, and fail with some others each time.
func poison(s *scene) error {
	s.dead[s.troubled.name] = map[Event]bool{}
	for n := range s.o.Events {
		if e := (Event{n % s.o.Conversations, n / s.o.Conversations}); poisonous(e) != 0 {
			s.dead[s.troubled.name][e] = true
		}
	}
	s.troubled.behave = func(_ context.Context, e Event, _ int) int {
		if status := poisonous(e); status != 0 {
			return status
		}
		return http.StatusNoContent
	}
	for _, ch := range s.channels {
		base := ch.DeepCopy()
		attempts := int32(poisonAttempts)
		ch.Spec.Sinks[1].Delivery.MaxAttempts = &attempts
		if err := s.patch(ch, base); err != nil {
			return err
		}
	}
	s.note("one in a hundred is refused (422), one in a hundred fails each time (500) and is given up after %d attempts", poisonAttempts)
	return nil
}

// poisonous is the answer to a poison event; 0 if it is none.
func poisonous(e Event) int {
	switch (e.Number*37 + e.Conversation*11) % 100 {
	case 0:
		return http.StatusUnprocessableEntity
	case 50:
		return http.StatusInternalServerError
	default:
		return 0
	}
}

// deadLetters compares the dead letters in the log with what the sink refused.
func deadLetters(ctx context.Context, s *scene, row *Row) (err error) {
	log, err := eventlog.Open(ctx, eventlog.Options{DataDir: s.data()})
	if err != nil {
		return fmt.Errorf("opening the event log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	found := 0
	for _, ch := range s.channels {
		n, err := countLetters(ctx, log, ch, s.troubled.name)
		if err != nil {
			return err
		}
		found += n
	}
	row.Dead[s.troubled.name] = found
	if found != len(s.dead[s.troubled.name]) {
		return fmt.Errorf("%d dead letters of %d events that were refused for good", found, len(s.dead[s.troubled.name]))
	}
	return nil
}

func countLetters(ctx context.Context, log *eventlog.Log, ch *v1alpha1.TiktokChannel, sink string) (found int, err error) {
	reasons := []string{"rejected", "attempts_exhausted"}
	for query, more := (eventlog.DeadLetterQuery{ChannelUID: string(ch.UID), Limit: 100}), true; more; {
		var letters []eventlog.DeadLetter
		if letters, more, err = log.DeadLetters(ctx, query); err != nil {
			return 0, fmt.Errorf("reading dead letters: %w", err)
		}
		for _, l := range letters {
			if l.Sink != sink || !slices.Contains(reasons, l.Reason) {
				return 0, fmt.Errorf("a dead letter of sink %q for the reason %q", l.Sink, l.Reason)
			}
			query.After = l.ID
		}
		found += len(letters)
	}
	return found, nil
}

// withoutAPI cuts the webhook binary off from the API server, until everything has been sent and has arrived. Somebody's forged webhook, which
// makes it look at the app's secret again, must not change anything.
func withoutAPI(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 10); err != nil {
		return err
	}
	s.proxy.cut()
	if status, err := s.sender.forge(ctx); err != nil || status == http.StatusOK {
		return fmt.Errorf("a forged webhook was answered %d (%w)", status, err)
	}
	if err := s.sender.reached(ctx, 1, 2); err != nil {
		return err
	}
	s.sender.hold() // so that some are sent when it has been away for long
	err := s.pass(ctx)
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
	s.proxy.restore()
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
