package eventlog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

func openLog(t *testing.T) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func store(t *testing.T, l *eventlog.Log, channel, conversation string, n int) {
	t.Helper()
	for i := range n {
		_, err := l.Append(t.Context(), eventlog.Record{
			ID: fmt.Sprint(conversation, "-", i), App: "app", ChannelUID: channel, Conversation: conversation, Body: fmt.Append(nil, i),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventsOfAChannelAndOfALane(t *testing.T) {
	l := openLog(t)
	for i := range 10 { // interleaved
		for _, conversation := range []string{"a+/=", "b", ""} {
			_, err := l.Append(t.Context(), eventlog.Record{
				ID: fmt.Sprint(conversation, "-", i), App: "app", ChannelUID: "one", Conversation: conversation, Body: []byte("{}"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	store(t, l, "two", "b", 3)

	events, more, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "one", Limit: 7})
	if err != nil || len(events) != 7 || !more {
		t.Fatalf("got %d events, more %t, %v", len(events), more, err)
	}
	lanes := map[string]string{}
	for _, e := range events {
		lanes[e.Conversation] = e.Lane
	}
	if len(lanes) != 3 {
		t.Fatalf("lanes are %v", lanes)
	}
	rest, more, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "one", After: eventlog.Position{Sequence: events[6].Sequence}, Limit: 100})
	if err != nil || len(rest) != 23 || more {
		t.Fatalf("got %d events, more %t, %v", len(rest), more, err)
	}
	for conversation, lane := range lanes {
		events, more, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "one", Lane: lane, Limit: 100})
		if err != nil || len(events) != 10 || more {
			t.Fatalf("lane of %q: %d events, more %t, %v", conversation, len(events), more, err)
		}
		for i, e := range events {
			if want := fmt.Sprint(conversation, "-", i); e.ID != want || e.Lane != lane || e.ChannelUID != "one" {
				t.Fatalf("got %+v, want %s", e, want)
			}
		}
	}
	if events, more, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "nobody", Limit: 5}); err != nil || len(events) != 0 || more {
		t.Fatalf("got %v, %t, %v", events, more, err)
	}
	if events, _, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "one", Limit: 100, MaxBytes: 1}); err != nil || len(events) != 1 {
		t.Fatalf("of events that are larger than the bound, %d were read: %v", len(events), err)
	}
}

func TestDeadLettersAreKeptListedAndRevived(t *testing.T) {
	l := openLog(t)
	store(t, l, "ch", "c", 3)
	events, _, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "ch", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"crm", "audit"} {
		for _, e := range events {
			letter := eventlog.DeadLetter{
				Record: e.Record, Sequence: e.Sequence, StoredAt: e.StoredAt, Reason: "rejected", Problem: "it answered 410: 100 % + \"gone\"", Attempts: 4,
			}
			letter.Sink = sink
			for range 2 { // a crash, or a lost answer
				if err := l.AddDeadLetter(t.Context(), letter); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	list := func(q eventlog.DeadLetterQuery) []eventlog.DeadLetter {
		t.Helper()
		letters, _, err := l.DeadLetters(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return letters
	}
	if all := list(eventlog.DeadLetterQuery{ChannelUID: "ch", Limit: 100}); len(all) != 6 {
		t.Fatalf("%d letters", len(all))
	}
	letters := list(eventlog.DeadLetterQuery{ChannelUID: "ch", Sink: "crm", Limit: 100})
	if len(letters) != 3 {
		t.Fatalf("%d letters of one sink", len(letters))
	}
	got, want := letters[1], events[1]
	if got.Record.ID != want.ID || got.Sink != "crm" || got.Sequence != want.Sequence || !got.StoredAt.Equal(want.StoredAt) || got.Attempts != 4 ||
		got.Reason != "rejected" || got.Problem != "it answered 410: 100 % + \"gone\"" || string(got.Body) != "1" || got.DiedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
	if some := list(eventlog.DeadLetterQuery{ChannelUID: "ch", Sink: "crm", After: letters[0].ID, Limit: 1}); len(some) != 1 || some[0].ID != got.ID {
		t.Fatalf("after the first came %+v", some)
	}
	if one, err := l.DeadLetter(t.Context(), got.ID); err != nil || one == nil || one.Record.ID != want.ID {
		t.Fatalf("got %+v, %v", one, err)
	}
	for range 2 {
		if err := l.Revive(t.Context(), got); err != nil {
			t.Fatal(err)
		}
	}
	if left := list(eventlog.DeadLetterQuery{ChannelUID: "ch", Sink: "crm", Limit: 100}); len(left) != 2 {
		t.Fatalf("%d letters are left", len(left))
	}
	if gone, err := l.DeadLetter(t.Context(), got.ID); err != nil || gone != nil {
		t.Fatalf("got %+v, %v", gone, err)
	}
	events, _, err = l.Events(t.Context(), eventlog.Query{ChannelUID: "ch", Limit: 10})
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if e := events[3]; e.ID != want.ID || e.Sink != "crm" || e.Replay == "" || e.Lane != want.Lane || string(e.Body) != "1" {
		t.Fatalf("revived as %+v", e)
	}
}

func TestSinkStateKeepsWhatIsBehind(t *testing.T) {
	l := openLog(t)
	store(t, l, "ch", "c", 9)
	want := eventlog.SinkState{
		Namespace: "ns", Name: "ch", ChannelUID: "ch", Sink: "s", Position: eventlog.Position{Sequence: 9},
		Behind: map[string]eventlog.Undone{"lane": {Sequence: 4, Attempts: 2, Pending: 3}},
	}
	if err := l.SaveSink(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	states, err := l.Sinks(t.Context())
	if err != nil || len(states) != 1 || fmt.Sprint(states[0]) != fmt.Sprint(want) {
		t.Fatalf("got %+v, %v", states, err)
	}
}

// The server counts time in nanoseconds since 1970: what it cannot count must not turn into another time.
func TestTimesThatTheServerCannotCount(t *testing.T) {
	l := openLog(t)
	appendRecord(t, l, record("1"))
	letter := eventlog.DeadLetter{Record: record("1"), Sequence: 1}
	letter.Sink = "s"
	if err := l.AddDeadLetter(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	for year, want := range map[int]int{1: 1, 1600: 1, 1900: 1, 1969: 1, 2261: 0, 2263: 0, 2500: 0, 9999: 0} {
		from := time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC)
		events, _, err := l.Events(t.Context(), eventlog.Query{ChannelUID: uid, After: eventlog.Position{From: from}, Limit: 10})
		if err != nil || len(events) != want {
			t.Errorf("from the year %d on: %d events, %v", year, len(events), err)
		}
		letters, _, err := l.DeadLetters(t.Context(), eventlog.DeadLetterQuery{ChannelUID: uid, From: from, Limit: 10})
		if err != nil || len(letters) != want {
			t.Errorf("from the year %d on: %d letters, %v", year, len(letters), err)
		}
	}
}
