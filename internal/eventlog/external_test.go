package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

const (
	eventsStream = "TIKTOK_EVENTS"
	patience     = 30 * time.Second
)

// admin is a connection past the event log.
func admin(t *testing.T, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// eventually polls.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

func TestClusterKeepsThreeCopies(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Cluster(t)
	_, js := admin(t, url)
	for i, step := range []struct{ ask, want int }{{1, 1}, {0, 3}, {0, 3}, {1, 1}, {3, 3}} {
		l := open(t, eventlog.Options{URL: url, Replicas: step.ask})
		appendRecord(t, l, record(fmt.Sprint(i)))
		// A copy that is being made, or given up, may lag behind.
		eventually(t, fmt.Sprintf("the events of step %d", i), func() bool { return len(all(t, l, record("").ChannelUID)) == i+1 })
		for _, name := range []string{eventsStream, "TIKTOK_SINKS", "TIKTOK_JOBS", "KV_tiktok-once", "KV_tiktok-owners"} {
			stream, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.CachedInfo().Config.Replicas; got != step.want {
				t.Errorf("step %d: the stream %s has %d copies, want %d", i, name, got, step.want)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullClusterRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, eventlog.Options{URL: eventlogtest.Cluster(t), MaxBytes: 1 << 20})
	r := record("")
	r.Body = make([]byte, 100<<10)
	var err error
	stored := 0
	for ; err == nil && stored < 20; stored++ {
		r.ID = fmt.Sprint(stored)
		_, err = l.Append(t.Context(), r)
	}
	var full *eventlog.FullError
	if !errors.As(err, &full) {
		t.Fatalf("after %d events: %v", stored, err)
	}
	// Not every server has at once what most of them have stored.
	eventually(t, "all that was acknowledged", func() bool { return len(all(t, l, r.ChannelUID)) == stored-1 })
	// Room is made without removing what there is.
	l = reopen(t, l, eventlog.Options{URL: l.URL(), MaxBytes: 2 << 20})
	if _, err := l.Append(t.Context(), r); err != nil {
		t.Error(err)
	}
	l = reopen(t, l, eventlog.Options{URL: l.URL(), MaxBytes: 1 << 19})
	eventually(t, "all events, with a lower limit", func() bool { return len(all(t, l, r.ChannelUID)) == stored })
}

func TestLostStreamsAreMadeAnew(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	_, js := admin(t, url)
	a, b := open(t, eventlog.Options{URL: url}), open(t, eventlog.Options{URL: url})
	store(t, a, "ch", "c", 5)
	state := eventlog.SinkState{ChannelUID: "ch", Sink: "s", Position: eventlog.Position{Sequence: 5}, Epoch: a.Epoch()}
	if err := a.SaveSink(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	watched := make(chan error, 2)
	for _, l := range []*eventlog.Log{a, b} {
		ready := make(chan struct{})
		go func() { watched <- l.Watch(t.Context(), func() { close(ready) }, func(string, uint64) {}) }()
		<-ready
	}
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("a log without streams is ready")
	}
	eventually(t, "the streams to be there again", func() bool { return a.Ready(t.Context()) == nil })
	for range 2 {
		if err := <-watched; !errors.Is(err, eventlog.ErrRenewed) {
			t.Errorf("a watch ended with %v", err)
		}
	}
	store(t, b, "ch", "c", 2)
	if a.Epoch() == state.Epoch || a.Epoch() != b.Epoch() {
		t.Errorf("epochs %d and %d, before: %d", a.Epoch(), b.Epoch(), state.Epoch)
	}
	// A position of the log that was lost, stored late, hides nothing of the new one.
	if err := b.SaveSink(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	got, _, err := a.LoadSink(t.Context(), "ch", "s")
	if err != nil || got.Position != (eventlog.Position{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := a.UseOnce(t.Context(), "id", time.Now()); err != nil {
		t.Error(err)
	}
}

// One of the streams may be lost and made anew while the other stays: then numbers mean something else than they did.
func TestDeadLettersOutliveALossOfEvents(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	_, js := admin(t, url)
	l := open(t, eventlog.Options{URL: url})
	lose := func(stream string) {
		t.Helper()
		if err := js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		l = reopen(t, l, eventlog.Options{URL: url})
	}
	// bury makes the newest event a dead letter.
	bury := func() eventlog.DeadLetter {
		t.Helper()
		events := all(t, l, "ch")
		e := events[len(events)-1]
		letter := eventlog.DeadLetter{Record: e.Record, Sequence: e.Sequence, StoredAt: e.StoredAt, Reason: "rejected", Attempts: 1}
		letter.Sink = "crm"
		if err := l.AddDeadLetter(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		return letter
	}
	letters := func() []eventlog.DeadLetter {
		t.Helper()
		letters, _, err := l.DeadLetters(t.Context(), eventlog.DeadLetterQuery{ChannelUID: "ch", Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return letters
	}
	store(t, l, "ch", "before", 1)
	first := bury()
	lose(eventsStream)
	store(t, l, "ch", "after", 1)
	if second := bury(); second.Sequence != first.Sequence || second.Record.ID == first.Record.ID {
		t.Fatalf("the events are %+v and %+v", first, second)
	}
	if got := letters(); len(got) != 2 {
		t.Fatalf("two events died, and these are kept: %+v", got)
	}

	// The other way round: a letter with the number of one that was replayed is another letter, also if it is of the same event.
	if err := l.Revive(t.Context(), letters()[0]); err != nil {
		t.Fatal(err)
	}
	lose("TIKTOK_DEAD")
	bury() // the replay
	again := letters()
	if len(again) != 1 || again[0].ID != 1 || again[0].Record.ID != first.Record.ID {
		t.Fatalf("the letters are %+v", again)
	}
	before := len(all(t, l, "ch"))
	if err := l.Revive(t.Context(), again[0]); err != nil {
		t.Fatal(err)
	}
	if got := all(t, l, "ch"); len(got) != before+1 {
		t.Errorf("the second replay is not in the log: %+v", got)
	}
}

// Another replica may remove the last position after it was counted, and before it is read.
func TestListingSinksOutlastsTheirRemoval(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	l, other := open(t, eventlog.Options{URL: url}), open(t, eventlog.Options{URL: url})
	for i := range 100 {
		if err := other.SaveSink(t.Context(), eventlog.SinkState{ChannelUID: "ch", Sink: "s"}); err != nil {
			t.Fatal(err)
		}
		removed := make(chan error, 1)
		go func() { removed <- other.DeleteSink(t.Context(), "ch", "s") }()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		states, err := l.Sinks(ctx)
		cancel()
		if err = errors.Join(err, <-removed); err != nil || len(states) > 1 {
			t.Fatalf("listing %d: %+v, %v", i, states, err)
		}
	}
}

// TestLaggingServerHidesNothing stands in for a server that lags: it is the only one that answers reads, and finds nothing.
func TestLaggingServerHidesNothing(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	l := open(t, eventlog.Options{URL: url})
	store(t, l, "ch", "c", 2)
	conn, js := admin(t, url)
	stream, err := js.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Subscribe("$JS.API.DIRECT.GET."+eventsStream, func(m *nats.Msg) {
		answer := nats.NewMsg(m.Reply)
		answer.Header.Set("Status", "404")
		_ = conn.PublishMsg(answer)
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	read := func(q eventlog.Query) error {
		q.Limit, q.MaxBytes = 10, 1<<20
		events, _, err := l.Events(context.Background(), q)
		if len(events) > 0 {
			t.Errorf("got %d events", len(events))
		}
		return err
	}
	for name, c := range map[string]struct {
		query eventlog.Query
		fails bool
	}{
		"events follow":           {eventlog.Query{ChannelUID: "ch", After: eventlog.Position{Sequence: 1}}, true},
		"in time":                 {eventlog.Query{ChannelUID: "ch", After: eventlog.Position{From: time.Now().Add(-time.Hour)}}, true},
		"none follows":            {eventlog.Query{ChannelUID: "ch", After: eventlog.Position{Sequence: 2}}, false},
		"none follows in time":    {eventlog.Query{ChannelUID: "ch", After: eventlog.Position{From: time.Now().Add(time.Hour)}}, false},
		"another lane":            {eventlog.Query{ChannelUID: "ch", Lane: "other"}, false},
		"nothing of this channel": {eventlog.Query{ChannelUID: "other"}, false},
	} {
		if err := read(c.query); (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever replays all dead letters is not to be told that there are no more, where the server that is asked has not received them yet.
func TestLaggingServerHidesNoDeadLetters(t *testing.T) {
	t.Parallel()
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	l := open(t, eventlog.Options{URL: url})
	for i := range 2 {
		letter := eventlog.DeadLetter{Record: record(fmt.Sprint(i)), Sequence: uint64(i)}
		letter.Sink = "s"
		if err := l.AddDeadLetter(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	conn, js := admin(t, url)
	stream, err := js.Stream(t.Context(), "TIKTOK_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	var has atomic.Int32 // letters at the server that lags
	if _, err := conn.Subscribe("$JS.API.DIRECT.GET.TIKTOK_DEAD", func(m *nats.Msg) {
		end := nats.NewMsg(m.Reply)
		end.Header.Set("Status", "404")
		if has.Load() > 0 && strings.Contains(string(m.Data), `"seq":1,`) {
			answer := &nats.Msg{Subject: m.Reply, Header: first.Header, Data: first.Data}
			for name, value := range map[string]string{
				"Nats-Sequence": "1", "Nats-Time-Stamp": first.Time.Format(time.RFC3339Nano), "Nats-Subject": first.Subject, "Nats-Num-Pending": "0",
			} {
				answer.Header.Set(name, value)
			}
			_ = conn.PublishMsg(answer)
			end.Header.Set("Status", "204")
		}
		_ = conn.PublishMsg(end)
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		has     int32
		query   eventlog.DeadLetterQuery
		letters int
		more    bool
		fails   bool
	}{
		"none":              {0, eventlog.DeadLetterQuery{}, 0, false, true},
		"none in time":      {0, eventlog.DeadLetterQuery{From: time.Now().Add(-time.Hour)}, 0, false, true},
		"one of two":        {1, eventlog.DeadLetterQuery{}, 1, true, false},
		"not the other one": {1, eventlog.DeadLetterQuery{After: 1}, 0, false, true},
		"there is no more":  {1, eventlog.DeadLetterQuery{After: 2}, 0, false, false},
		"none of the sink":  {1, eventlog.DeadLetterQuery{Sink: "other", After: 1}, 0, false, false},
	} {
		has.Store(c.has)
		c.query.ChannelUID, c.query.Limit = uid, 10
		letters, more, err := l.DeadLetters(t.Context(), c.query)
		if len(letters) != c.letters || more != c.more || (err != nil) != c.fails {
			t.Errorf("%s: %d letters, %v, %v", name, len(letters), more, err)
		}
	}
	if letter, err := l.DeadLetter(t.Context(), 2); letter != nil || err == nil {
		t.Errorf("a letter that the server has not received: %v, %v", letter, err)
	}
	if letter, err := l.DeadLetter(t.Context(), 3); letter != nil || err != nil {
		t.Errorf("a letter that is not there: %v, %v", letter, err)
	}
}

// A server of the cluster that hangs is asked for a third of what is read, until the others notice: it must not hold up more than that one try.
func TestReadsAskAnotherServerWhereOneHangs(t *testing.T) {
	t.Parallel()
	ns := eventlogtest.Server(t, &server.Options{})
	account := ns.GlobalAccount()
	l := open(t, eventlog.Options{URL: ns.ClientURL()})
	store(t, l, "ch", "c", 3)
	state := eventlog.SinkState{Namespace: "ns", Name: "ch", ChannelUID: "ch", Sink: "s"}
	if _, err := l.AdvanceSink(t.Context(), state, 0); err != nil {
		t.Fatal(err)
	}
	conn, _ := admin(t, ns.ClientURL())
	for name, tc := range map[string]struct {
		stream string
		read   func() error
	}{
		"one event": {eventsStream, func() error {
			_, err := l.Next(t.Context(), "ch", eventlog.Position{})
			return err
		}},
		"several events": {eventsStream, func() error {
			events, _, err := l.Events(t.Context(), eventlog.Query{ChannelUID: "ch", Limit: 10})
			if err == nil && len(events) != 3 {
				err = fmt.Errorf("%d events of 3", len(events))
			}
			return err
		}},
		"a position": {"TIKTOK_SINKS", func() error {
			_, _, err := l.LoadSink(t.Context(), "ch", "s")
			return err
		}},
	} {
		// What hangs takes one request, and does not answer.
		subject, hanging := "$JS.API.DIRECT.GET."+tc.stream, make(chan struct{})
		sub, err := conn.Subscribe("hanging", func(*nats.Msg) {
			account.RemoveMapping(subject)
			close(hanging)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(account.AddMapping(subject, "hanging"), sub.AutoUnsubscribe(1), conn.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := tc.read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case <-hanging:
		default:
			t.Errorf("%s: what hangs was not asked", name)
		}
	}
}
