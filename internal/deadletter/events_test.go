package deadletter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/deadletter"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
)

const main = eventlogChannel("uid-main")

type eventlogChannel string

// store puts events first … last into two conversations of the channel.
func (c eventlogChannel) store(b *bench, first, last int) {
	b.t.Helper()
	for i := first; i <= last; i++ {
		if _, err := b.log.Append(b.t.Context(), eventlog.Record{
			ID: fmt.Sprint("evt-", i), App: "app", BusinessID: "biz", ChannelUID: string(c), Conversation: fmt.Sprint("c", i%2),
			Event: "im_receive_msg", Body: fmt.Appendf(nil, `{"n":%d}`, i),
		}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// replayed are the replays that are in the log, in their order.
func (b *bench) replayed() (got []string) {
	b.t.Helper()
	events, _, err := b.log.Events(b.t.Context(), eventlog.Query{ChannelUID: string(main), Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	originals := map[string]*eventlog.Stored{}
	for _, e := range events {
		if e.Replay == "" {
			originals[e.ID] = e
			continue
		}
		if o := originals[e.ID]; o == nil || e.Lane != o.Lane || string(e.Body) != string(o.Body) {
			b.t.Errorf("%+v is not a replay of what was stored", e)
		}
		got = append(got, e.Sink+" "+e.ID)
	}
	return got
}

// faultyJobs fails once, after so many appends: as a process that dies in the midst of a replay.
type faultyJobs struct {
	*eventlog.Log
	left atomic.Int64
}

func (f *faultyJobs) Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error) {
	if f.left.Add(-1) == 0 {
		return eventlog.Result{}, &eventlog.RetryError{Err: errors.New("the log is away")}
	}
	return f.Log.Append(ctx, r)
}

// work does the replays until the log has so many, and returns them.
func (b *bench) work(jobs deadletter.Jobs, want int) []string {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- (&deadletter.Replayer{Jobs: jobs, Logger: logr.Discard()}).Start(ctx) }()
	for deadline := time.Now().Add(time.Minute); len(b.replayed()) < want && time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
	}
	cancel()
	if err := <-done; err != nil {
		b.t.Error(err)
	}
	return b.replayed()
}

func TestReplayOfStoredEvents(t *testing.T) {
	b := newBench(t)
	main.store(b, 1, 6)
	between := time.Now().UTC().Format(time.RFC3339Nano)
	main.store(b, 7, 9)

	ask := func(query string, events int) {
		t.Helper()
		var answer deadletter.Replaying
		code := b.ask(http.MethodPost, "main/events/replay?"+query, &answer)
		if code != http.StatusAccepted || answer.Events != events || answer.Replay == "" {
			t.Fatalf("%s: %d %+v", query, code, answer)
		}
	}
	// The request is stored, not done: what does it may come later, fail half-way, and begin anew.
	ask("sink=crm&id=evt-5&id=evt-2&id=evt-4&id=evt-2", 3)
	if got := b.replayed(); len(got) != 0 {
		t.Fatalf("before the job: %v", got)
	}
	faulty := &faultyJobs{Log: b.log}
	faulty.left.Store(3)
	if got := fmt.Sprint(b.work(faulty, 3)); got != "[crm evt-2 crm evt-4 crm evt-5]" {
		t.Fatalf("by id: %v", got)
	}
	ask("sink=audit&until="+between+"&since=2026-01-01T00:00:00Z", 6)
	if got := b.work(b.log, 9)[3:]; fmt.Sprint(got) != "[audit evt-1 audit evt-2 audit evt-3 audit evt-4 audit evt-5 audit evt-6]" {
		t.Fatalf("until a time: %v", got)
	}
	// What was replayed before is not there twice, but may be replayed again.
	ask("sink=audit&since="+between, 3)
	if got := b.work(b.log, 12)[9:]; fmt.Sprint(got) != "[audit evt-7 audit evt-8 audit evt-9]" {
		t.Fatalf("from a time on: %v", got)
	}
	ask("sink=crm&since=2026-01-01T00:00:00Z&id=evt-2", 1)
	if got := b.work(b.log, 13)[12:]; fmt.Sprint(got) != "[crm evt-2]" {
		t.Fatalf("again: %v", got)
	}
}

// oldJob hands out a job that was added long ago, at a log that stores nothing; handled is what its handling returned.
type oldJob struct {
	*eventlog.Log
	job     eventlog.Job
	handled error
}

func (o *oldJob) WorkJobs(ctx context.Context, _ string, handle func(context.Context, eventlog.Job) error) error {
	o.handled = handle(ctx, o.job)
	return nil
}

func (o *oldJob) Append(context.Context, eventlog.Record) (eventlog.Result, error) {
	return eventlog.Result{}, errors.New("the log is full")
}

func TestReplayIsGivenUpAloud(t *testing.T) {
	b := newBench(t)
	main.store(b, 1, 2)
	now := time.Now()
	for name, tc := range map[string]struct {
		age     time.Duration
		givenUp bool
	}{
		"an hour":               {time.Hour, false},
		"its last":              {eventlog.JobMaxAge - time.Second, true},
		"its last but some":     {eventlog.JobMaxAge - time.Hour, false},
		"longer than it may be": {eventlog.JobMaxAge + time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			jobs := &oldJob{Log: b.log, job: eventlog.Job{
				Kind: deadletter.JobReplay, Attempt: 400, AddedAt: now.Add(-tc.age),
				Record: eventlog.Record{ID: "occasion", ChannelUID: string(main), Sink: "crm", Body: []byte("[1, 2]")},
			}}
			var logged strings.Builder
			logger := funcr.New(func(_, args string) { logged.WriteString(args + "\n") }, funcr.Options{})
			if err := (&deadletter.Replayer{Jobs: jobs, Clock: clocktesting.NewFakePassiveClock(now), Logger: logger}).Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if (jobs.handled == nil) != tc.givenUp || strings.Contains(logged.String(), "given up") != tc.givenUp {
				t.Errorf("%v, and said %q", jobs.handled, logged.String())
			}
			if tc.givenUp && (!strings.Contains(logged.String(), `"error"="replaying an event: the log is full"`) || !strings.Contains(logged.String(), `"left"=2`)) {
				t.Errorf("it says %q", logged.String())
			}
		})
	}
}

// A server that lags behind its cluster does not have an event yet that was chosen: that is not the end of its retention.
func TestReplayWaitsForAServerThatLags(t *testing.T) {
	b := newBench(t)
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	opened, err := eventlog.Open(t.Context(), eventlog.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	b.log, b.api.Events = opened, opened
	main.store(b, 1, 2)
	if code := b.ask(http.MethodPost, "main/events/replay?sink=crm&since=2026-01-01T00:00:00Z", &deadletter.Replaying{}); code != http.StatusAccepted {
		t.Fatal(code)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	direct := func(allow bool) {
		t.Helper()
		stream, err := js.Stream(t.Context(), "TIKTOK_EVENTS")
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		config.AllowDirect = allow
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	direct(false)
	lagging, err := conn.Subscribe("$JS.API.DIRECT.GET.TIKTOK_EVENTS", func(m *nats.Msg) {
		answer := nats.NewMsg(m.Reply)
		answer.Header.Set("Status", "404")
		_ = conn.PublishMsg(answer)
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs := &countedJobs{Log: opened, tried: make(chan error, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&deadletter.Replayer{Jobs: jobs, Logger: logr.Discard()}).Start(ctx) }()
	if err := <-jobs.tried; err == nil {
		t.Error("the replay is done, and nothing was replayed")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := lagging.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	direct(true)
	if got := b.work(opened, 2); fmt.Sprint(got) != "[crm evt-1 crm evt-2]" {
		t.Errorf("got %v", got)
	}
}

// countedJobs tells how attempts at jobs ended.
type countedJobs struct {
	*eventlog.Log
	tried chan error
}

func (c *countedJobs) WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error {
	return c.Log.WorkJobs(ctx, kind, func(ctx context.Context, j eventlog.Job) error {
		err := handle(ctx, j)
		c.tried <- err
		if err != nil {
			return &eventlog.RetryError{Err: err}
		}
		return nil
	})
}

func TestReplayRefusals(t *testing.T) {
	b := newBench(t)
	main.store(b, 1, 2)
	eventlogChannel("uid-other").store(b, 3, 3)
	manyIDs := strings.Repeat("&id=x", 3)
	for i := range 101 {
		manyIDs += fmt.Sprint("&id=", i)
	}
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for query, want := range map[string]struct {
		status int
		words  string
	}{
		"":                                  {400, "which sink"},
		"id=evt-1":                          {400, "which sink"},
		"sink=crm":                          {400, "which events"},
		"sink=crm&until=" + future:          {400, "which events"},
		"sink=crm&since=yesterday":          {400, "2026-08-01"},
		"sink=crm&sink=audit&id=evt-1":      {400, "more than once"},
		"sink=crm&id=evt-1&limit=1":         {400, `"limit" is not known`},
		"sink=crm" + manyIDs:                {400, "100 ids"},
		"sink=nobody&id=evt-1":              {404, `no sink "nobody"`},
		"sink=crm&id=evt-1&id=evt-3":        {404, "evt-3"}, // another channel's
		"sink=crm&id=evt-1&since=" + future: {404, "evt-1"},
		"sink=crm&since=" + future:          {404, "no stored event of that time"},
		"sink=crm&since=" + future + "&until=2026-01-01T00:00:00Z": {400, "before until"},
	} {
		var p struct{ Type, Detail string }
		status := b.ask(http.MethodPost, "main/events/replay?"+query, &p)
		if status != want.status || !strings.Contains(p.Detail, want.words) || p.Type == "" {
			t.Errorf("%s: %d %+v", query, status, p)
		}
	}
	var p struct{ Detail string }
	if status := b.ask(http.MethodPost, "main/events/replay?sink=crm&id=evt-1&id=evt-3", &p); status != 404 || strings.Contains(p.Detail, "evt-1") {
		t.Errorf("%d %s names what is known", status, p.Detail)
	}
	// None of them left a job: the next one is the first.
	var answer deadletter.Replaying
	if code := b.ask(http.MethodPost, "main/events/replay?sink=crm&id=evt-2", &answer); code != http.StatusAccepted {
		t.Fatal(code)
	}
	if got := fmt.Sprint(b.work(b.log, 1)); got != "[crm evt-2]" {
		t.Errorf("got %s", got)
	}
}

// longLog is a log of so many events.
type longLog struct {
	*eventlog.Log
	events uint64
	id     func(sequence uint64) string
}

func (l *longLog) Events(_ context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error) {
	for at := q.After.Sequence + 1; at <= l.events && len(events) < q.Limit; at++ {
		events = append(events, &eventlog.Stored{Record: eventlog.Record{ID: l.id(at)}, Sequence: at})
	}
	return events, len(events) > 0 && events[len(events)-1].Sequence < l.events, nil
}

func TestReplaysAreBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		events uint64
		query  string
		status int
		words  string
	}{
		"as many as may be": {10_000, "since=2026-01-01T00:00:00Z", 202, ""},
		"one too many":      {10_001, "since=2026-01-01T00:00:00Z", 400, "More than 10000 events were stored"},
		"found in time":     {200_000, "id=evt-100000", 202, ""},
		"too far":           {200_000, "id=evt-100001", 400, "More than 100000 events would have to be looked through for the ids: say with since and until"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.api.Events = &longLog{Log: b.log, events: tc.events, id: func(at uint64) string { return fmt.Sprint("evt-", at) }}
			var answer json.RawMessage
			if status := b.ask(http.MethodPost, "main/events/replay?sink=crm&"+tc.query, &answer); status != tc.status ||
				!strings.Contains(string(answer), tc.words) {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
}
