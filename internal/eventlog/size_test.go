package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

// What is acknowledged has room for what may become of it: a way to its channel, a job, a dead letter, a replay. A NATS server takes a mebibyte by
// default, as much as a webhook may have.
func TestTheLargestEventCanStillBecomeALetter(t *testing.T) {
	t.Parallel()
	l := open(t, eventlog.Options{URL: eventlogtest.Server(t, &server.Options{}).ClientURL()})
	unrouted := record("largest")
	unrouted.ChannelUID = ""
	var large *eventlog.TooLargeError
	size := 1 << 20
	for ; ; size -= 16 {
		unrouted.Body = make([]byte, size)
		_, err := l.Append(t.Context(), unrouted)
		if err == nil {
			break
		}
		if !errors.As(err, &large) || size < 1<<19 {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
	const uid = "0f6d1f3e-5a0e-4c1b-9a36-0d6a2c1b7f55"
	each := func(e eventlog.Record) error { return l.AddJob(t.Context(), eventlog.Job{Kind: "fetch", Record: e}) }
	if n, err := l.RouteUnrouted(t.Context(), unrouted.App, unrouted.BusinessID, uid, func(_ context.Context, e eventlog.Record) error { return each(e) }); n != 1 || err != nil {
		t.Fatalf("of %d bytes, %d events reached their channel: %v", size, n, err)
	}
	events := all(t, l, uid)
	letter := eventlog.DeadLetter{
		Record: events[0].Record, Sequence: events[0].Sequence, StoredAt: events[0].StoredAt, Reason: "attempts_exhausted",
		Problem: strings.Repeat("ö", 10_000), Attempts: 1 << 30,
	}
	letter.Sink = strings.Repeat("s", 63)
	if err := l.AddDeadLetter(t.Context(), letter); err != nil {
		t.Fatalf("of %d bytes: %v", size, err)
	}
	letters, _, err := l.DeadLetters(t.Context(), eventlog.DeadLetterQuery{ChannelUID: uid, Limit: 1})
	if err != nil || len(letters) != 1 || !strings.HasPrefix(letter.Problem, strings.TrimSuffix(letters[0].Problem, "…")) || letters[0].Problem == "" {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	if err := l.Revive(t.Context(), letters[0]); err != nil {
		t.Fatal(err)
	}
	if events := all(t, l, uid); len(events) != 2 || !slices.Equal(events[1].Body, unrouted.Body) {
		t.Fatalf("%d events", len(events))
	}
}
