package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// work runs WorkJobs until the returned function is called, which waits for its end.
func work(t *testing.T, l *eventlog.Log, kind string, handle func(context.Context, eventlog.Job) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.WorkJobs(ctx, kind, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func job(kind, id string) eventlog.Job { return eventlog.Job{Kind: kind, Record: record(id)} }

func addJob(t *testing.T, l *eventlog.Log, j eventlog.Job) {
	t.Helper()
	if err := l.AddJob(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

// taken collects jobs.
type taken struct {
	jobs chan eventlog.Job
}

func newTaken() taken { return taken{jobs: make(chan eventlog.Job, 1000)} }

func (k taken) next(t *testing.T) eventlog.Job {
	t.Helper()
	select {
	case j := <-k.jobs:
		return j
	case <-time.After(patience):
		t.Fatal("no job came")
		return eventlog.Job{}
	}
}

// ids of those that came so far.
func (k taken) ids() (ids []string) {
	for len(k.jobs) > 0 {
		ids = append(ids, (<-k.jobs).ID)
	}
	slices.Sort(ids)
	return ids
}

// TestJobsAreDoneOnce: a job carries its event, is not added twice (not even when it is done), and kinds do not mix.
func TestJobsAreDoneOnce(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed}
	l := open(t, opts)
	addJob(t, l, job("wash", "1"))
	addJob(t, l, job("wash", "1"))
	addJob(t, l, job("dry", "1"))
	other := job("wash", "1")
	other.ChannelUID = "another"
	addJob(t, l, other)
	l = reopen(t, l, opts) // jobs outlive the process

	got, fence := newTaken(), job("wash", "fence")
	work(t, l, "wash", func(_ context.Context, j eventlog.Job) error { got.jobs <- j; return nil })
	first, second := got.next(t), got.next(t)
	if first.ChannelUID != uid {
		first, second = second, first
	}
	if first.Kind != "wash" || first.Attempt != 1 || time.Since(first.AddedAt) > time.Minute || second.ChannelUID != "another" ||
		fmt.Sprintf("%+v", first.Record) != fmt.Sprintf("%+v", record("1")) {
		t.Fatalf("got %+v and %+v", first, second)
	}
	addJob(t, l, job("wash", "1")) // TikTok sends its webhook again
	addJob(t, l, fence)
	if j := got.next(t); j.ID != "fence" {
		t.Fatalf("got %+v: it was done before", j)
	}
	dried := newTaken()
	work(t, l, "dry", func(_ context.Context, j eventlog.Job) error { dried.jobs <- j; return nil })
	if j := dried.next(t); j.Kind != "dry" || j.ID != "1" {
		t.Fatalf("got %+v", j)
	}
	for _, bad := range []eventlog.Job{{Kind: "wash", Record: eventlog.Record{App: "app", ChannelUID: uid}}, job("", "1"), job("a.b", "1"), job("*", "1"), {Kind: "wash", Record: eventlog.Record{ID: "1", App: "app"}}} {
		if err := l.AddJob(t.Context(), bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if err := l.WorkJobs(t.Context(), ">", nil); err == nil {
		t.Error("all kinds at once were given")
	}
}

// TestJobsAreTriedAgain: when their error says, and while they wait no other is held up.
func TestJobsAreTriedAgain(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	got := newTaken()
	work(t, l, "k", func(_ context.Context, j eventlog.Job) error {
		got.jobs <- j
		switch {
		case j.ID == "later":
			return &eventlog.RetryError{After: time.Hour, Err: errors.New("not today")}
		case j.ID == "soon" && j.Attempt < 3:
			return fmt.Errorf("wrapped: %w", &eventlog.RetryError{After: time.Millisecond, Err: errors.New("in a moment")})
		}
		return nil
	})
	for i := range 100 { // many more than are worked on at once
		j := job("k", "later")
		j.ChannelUID = fmt.Sprint("channel-", i)
		addJob(t, l, j)
	}
	for range 100 {
		got.next(t)
	}
	addJob(t, l, job("k", "soon"))
	for attempt := 1; attempt <= 3; attempt++ {
		if j := got.next(t); j.ID != "soon" || j.Attempt != attempt {
			t.Fatalf("attempt %d: got %s, attempt %d", attempt, j.ID, j.Attempt)
		}
	}
	if len(got.jobs) != 0 {
		t.Fatalf("more came: %v", got.ids())
	}
	last := time.Duration(0)
	for n := range 100 {
		d := eventlog.JobDelay(n)
		if d < last || d < 5*time.Second || d > 10*time.Minute {
			t.Fatalf("after %d attempts: %s, before that %s", n, d, last)
		}
		last = d
	}
}

// TestJobsOfDeadAndStoppedProcesses: what a process had under way goes on elsewhere; what it still works on does not.
func TestJobsOfDeadAndStoppedProcesses(t *testing.T) {
	t.Parallel()
	const ackWait = 6 * time.Second // what still works says so thrice in that time
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed}.WithJobAckWait(ackWait)
	l := open(t, opts)
	addJob(t, l, job("k", "1"))

	// Stopped: its context ends, and the job is free at once.
	got := newTaken()
	stop := work(t, l, "k", func(ctx context.Context, j eventlog.Job) error {
		got.jobs <- j
		<-ctx.Done()
		return ctx.Err()
	})
	got.next(t)
	stop()

	// Dead: the log is closed under it, so that nothing can be acknowledged.
	died := make(chan struct{})
	stop = work(t, l, "k", func(_ context.Context, j eventlog.Job) error {
		got.jobs <- j
		<-died
		return nil
	})
	got.next(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	close(died)
	stop()

	// Slow: for as long as it lives, nobody else gets the job.
	l = open(t, opts)
	slow := make(chan struct{})
	work(t, l, "k", func(ctx context.Context, j eventlog.Job) error {
		got.jobs <- j
		if j.ID == "1" {
			select {
			case <-slow:
			case <-ctx.Done():
			}
		}
		return nil
	})
	if j := got.next(t); j.ID != "1" || j.Attempt < 3 {
		t.Fatalf("got %+v", j)
	}
	for n := range 5 { // together longer than it takes to count as dead
		j := job("k", fmt.Sprint("next-", n))
		addJob(t, l, j)
		got.next(t)
		select {
		case j := <-got.jobs:
			t.Fatalf("%s, which is being worked on, came again", j.ID)
		case <-time.After(ackWait / 4):
		}
	}
	close(slow)
}

// TestReplicasShareJobs: two processes with one external server do each job once.
func TestReplicasShareJobs(t *testing.T) {
	nats, err := server.NewServer(&server.Options{Port: -1, Host: "127.0.0.1", JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	opts := eventlog.Options{URL: nats.ClientURL()}
	a, b := open(t, opts), open(t, opts)
	all := newTaken()
	both := make(chan struct{}, 2)
	for _, l := range []*eventlog.Log{a, b} {
		var once sync.Once
		work(t, l, "k", func(ctx context.Context, j eventlog.Job) error {
			once.Do(func() { both <- struct{}{} })
			for len(both) < 2 { // until the other has one too
				if ctx.Err() != nil {
					return ctx.Err()
				}
				time.Sleep(time.Millisecond)
			}
			all.jobs <- j
			return nil
		})
	}
	var want []string
	for i := range 100 {
		j := job("k", fmt.Sprintf("%03d", i))
		addJob(t, []*eventlog.Log{a, b}[i%2], j)
		addJob(t, []*eventlog.Log{b, a}[i%2], j)
		want = append(want, j.ID)
	}
	var got []string
	for range want {
		got = append(got, all.next(t).ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || len(all.jobs) != 0 {
		t.Fatalf("got %v, and %d more", got, len(all.jobs))
	}
}
