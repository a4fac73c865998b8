package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// idMemory is a memory limit of which 128 ids may take half.
	idMemory = 64 << 10
	idRoom   = 128
)

// untilFull stores as long as there is room for another id, and returns how many times there was.
func untilFull(t *testing.T, store func(i int) error) int {
	t.Helper()
	for i := range 10 * idRoom {
		err := store(i)
		var full *eventlog.FullError
		if errors.As(err, &full) {
			if !strings.Contains(err.Error(), "raise the memory limit of the webhook container") {
				t.Errorf("the error does not say what to do: %v", err)
			}
			return i
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d ids were taken, with room for %d", 10*idRoom, idRoom)
	return 0
}

func appendNumbered(t *testing.T, l *eventlog.Log, prefix string) func(i int) error {
	return func(i int) error {
		_, err := l.Append(t.Context(), record(fmt.Sprint(prefix, i)))
		return err
	}
}

func TestIDsDoNotFillTheMemory(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MemoryLimit: idMemory, Clock: clock})
	early := record("early")
	early.ChannelUID = ""
	appendRecord(t, l, early)
	if n := untilFull(t, appendNumbered(t, l, "e")); n != idRoom-1 {
		t.Errorf("%d events were stored after the first, with room for %d ids", n, idRoom)
	}
	if u := usages(t, l)["ids"]; u.Limit != idMemory/2 || u.Bytes != u.Limit {
		t.Errorf("%+v of ids, and they may take %d", u, idMemory/2)
	}

	// Nothing else stops: what was acknowledged is delivered, and finds its channel, its jobs and its dead letters.
	if n := len(all(t, l, uid)); n != idRoom-1 {
		t.Errorf("%d events are read", n)
	}
	if err := errors.Join(l.Ready(t.Context()), l.Alive()); err != nil {
		t.Error(err)
	}
	if moved, err := l.RouteUnrouted(t.Context(), "app", "-biz", uid, nil); err != nil || moved != 1 {
		t.Errorf("%d events found their channel: %v", moved, err)
	}
	letter := eventlog.DeadLetter{Record: record("e0"), Sequence: 1}
	letter.Sink = "crm"
	if err := l.AddDeadLetter(t.Context(), letter); err != nil {
		t.Error(err)
	}
	if first, err := l.UseOnce(t.Context(), "state", clock.Now().Add(time.Hour)); err != nil || !first {
		t.Errorf("%t, %v", first, err)
	}
	if _, err := l.SaveSend(t.Context(), "message", []byte("sent"), 0); err != nil {
		t.Error(err)
	}
	// That has an end, too.
	if n := untilFull(t, func(i int) error {
		return l.AddJob(t.Context(), eventlog.Job{Kind: "fetch", Record: record(fmt.Sprint("e", i))})
	}); n != idRoom/8-2 {
		t.Errorf("%d jobs were taken beyond the limit of %d", n, idRoom)
	}

	clock.Step(eventlog.DefaultDedupWindow - time.Minute)
	if n := untilFull(t, appendNumbered(t, l, "f")); n != 0 {
		t.Errorf("%d events were stored before the ids end", n)
	}
	clock.Step(eventlog.DefaultDedupWindow / 16)
	if n := untilFull(t, appendNumbered(t, l, "g")); n != idRoom {
		t.Errorf("%d events were stored once all ids had ended", n)
	}
}

// Each ends as long after it came as the server recognises it, and no more than a thirty-second of that later.
func TestIDsEndOneAfterTheOther(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, Clock: clock})
	const id = 256
	for day := range 3 {
		for i := range 10 {
			if err := appendNumbered(t, l, fmt.Sprint("day", day, "-"))(i); err != nil {
				t.Fatal(err)
			}
		}
		clock.Step(24 * time.Hour)
	}
	began := clock.Now().Add(-72 * time.Hour)
	for _, tt := range []struct {
		hours int
		want  uint64
	}{{72, 30}, {76, 20}, {96, 20}, {100, 10}, {120, 10}, {124, 0}} {
		clock.SetTime(began.Add(time.Duration(tt.hours) * time.Hour))
		if u := usages(t, l)["ids"]; u.Bytes != tt.want*id {
			t.Errorf("%+v after %d hours, want %d ids", u, tt.hours, tt.want)
		}
	}
}

func TestIDsThatAreReadAnewCount(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MemoryLimit: idMemory, Clock: clock}
	l := open(t, opts)
	untilFull(t, appendNumbered(t, l, "e"))
	l = reopen(t, l, opts)
	if n := untilFull(t, appendNumbered(t, l, "f")); n != 0 {
		t.Errorf("%d events were stored after a restart of a log that was full", n)
	}
	opts.MemoryLimit = 2 * idMemory
	l = reopen(t, l, opts)
	if n := untilFull(t, appendNumbered(t, l, "f")); n != idRoom {
		t.Errorf("%d events were stored with twice the memory", n)
	}
	// All of them have been there for two hours less than the window; then for two hours more.
	clock.Step(eventlog.DefaultDedupWindow - 2*time.Hour)
	opts.MemoryLimit = idMemory
	l = reopen(t, l, opts)
	if u := usages(t, l)["ids"]; u.Bytes != idMemory {
		t.Errorf("%+v of %d ids", u, 2*idRoom)
	}
	clock.Step(4 * time.Hour)
	if n := untilFull(t, appendNumbered(t, l, "g")); n != idRoom {
		t.Errorf("%d events were stored once all ids had ended", n)
	}
}

// The window is short enough to see what the server does.
func TestIDsEndWhenTheServerForgetsThem(t *testing.T) {
	t.Parallel()
	const window = 5 * time.Second
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, DedupWindow: window, MemoryLimit: idMemory})
	began := time.Now()
	appendRecord(t, l, record("a"))
	held := usages(t, l)["ids"].Bytes
	if again := appendRecord(t, l, record("a")); !again.Duplicate || usages(t, l)["ids"].Bytes != held {
		t.Errorf("an event that came twice: %+v, %d bytes of ids, and before %d", again, usages(t, l)["ids"].Bytes, held)
	}
	eventually(t, "the ids to end", func() bool { return usages(t, l)["ids"].Bytes == 0 })
	if counted := time.Since(began); counted < window {
		t.Errorf("an id was counted for %s only, and the server has it for %s", counted, window)
	}
	eventually(t, "the server to forget it", func() bool { return !appendRecord(t, l, record("a")).Duplicate }) // on a busy machine a little late
}

func TestIDsOfJobsThatAreDoneCount(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	const jobs = 5
	for i := range jobs {
		if err := l.AddJob(t.Context(), eventlog.Job{Kind: "fetch", Record: record(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	before := usages(t, l)["ids"]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{}, jobs)
	go func() {
		for range jobs {
			<-done
		}
		cancel()
	}()
	if err := l.WorkJobs(ctx, "fetch", func(context.Context, eventlog.Job) error {
		done <- struct{}{}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if after := usages(t, l)["ids"]; before.Bytes == 0 || after.Bytes != before.Bytes {
		t.Errorf("%+v of ids, and %+v when the jobs were done", before, after)
	}
}

// Without a memory limit there is nothing to keep to.
func TestIDsWithoutAMemoryLimit(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	for i := range 2 * idRoom {
		if err := appendNumbered(t, l, "e")(i); err != nil {
			t.Fatal(err)
		}
	}
	values := scrape(t, l)
	if _, ok := values["limit ids"]; ok || values["bytes ids"] == 0 {
		t.Errorf("exported: %v", values)
	}
}

// BenchmarkIDs says what an event takes of the memory while events gather, most of it for its id.
func BenchmarkIDs(b *testing.B) {
	const events, senders = 200_000, 32
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		l, err := eventlog.Open(b.Context(), eventlog.Options{DataDir: b.TempDir(), Fsync: relaxed})
		if err != nil {
			b.Fatal(err)
		}
		before := heap()
		var all errgroup.Group
		for s := range senders {
			all.Go(func() error {
				for i := s; i < events; i += senders {
					if _, err := l.Append(b.Context(), record(fmt.Sprint(i))); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := all.Wait(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((heap()-before)/events, "B/event")
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
