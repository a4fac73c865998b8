package inbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// deadSink ends a sink, and brings it back when the other one has everything.
func deadSink(ctx context.Context, s *scene) error {
	if err := s.sender.reached(ctx, 1, 3); err != nil {
		return err
	}
	began := time.Now()
	s.troubled.die()
	s.excuse(s.troubled.name, began) // what it took and could not say any more
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
	found := map[Event]bool{}
	for _, ch := range s.channels {
		if err := findLetters(ctx, log, ch, s.troubled.name, found); err != nil {
			return err
		}
	}
	row.Dead[s.troubled.name] = len(found)
	if want := s.dead[s.troubled.name]; !maps.Equal(found, want) {
		return fmt.Errorf("the %d dead letters are not the %d events that were refused for good", len(found), len(want))
	}
	return nil
}

// findLetters adds a channel's dead letters.
func findLetters(ctx context.Context, log *eventlog.Log, ch *v1alpha1.TiktokChannel, sink string, found map[Event]bool) error {
	reasons := []string{"rejected", "attempts_exhausted"}
	for query, more := (eventlog.DeadLetterQuery{ChannelUID: string(ch.UID), Limit: 100}), true; more; {
		letters, following, err := log.DeadLetters(ctx, query)
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		for _, l := range letters {
			var e Event
			_, text, _ := bytes.Cut(l.Body, []byte(textPrefix))
			if _, err := fmt.Sscan(string(text), &e.Conversation, &e.Number); err != nil || l.Sink != sink || !slices.Contains(reasons, l.Reason) {
				return fmt.Errorf("a dead letter of sink %q for the reason %q (%w)", l.Sink, l.Reason, err)
			}
			if found[e] {
				return fmt.Errorf("two dead letters of %v", e)
			}
			found[e], query.After = true, l.ID
		}
		more = following
	}
	return nil
}
