package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const uid = "6f1c0f0e-6f1a-4a53-9a52-0a6f3f6a0c11"

// relaxed is for tests whose subject is not what a power cut leaves.
const relaxed = eventlog.Fsync(time.Minute)

func open(t *testing.T, opts eventlog.Options) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func reopen(t *testing.T, l *eventlog.Log, opts eventlog.Options) *eventlog.Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, opts)
}

func record(id string) eventlog.Record {
	return eventlog.Record{
		ID: id, App: "app", BusinessID: "-biz", ChannelUID: uid, Conversation: "a+b/c=", Event: "im_receive_msg",
		ReceivedAt: time.Date(2026, 8, 1, 10, 0, 0, 123, time.UTC), Body: []byte(`{"event":"im_receive_msg","id":"` + id + `"}`),
	}
}

func appendRecord(t *testing.T, l *eventlog.Log, r eventlog.Record) eventlog.Result {
	t.Helper()
	result, err := l.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// all reads a channel's events from the beginning.
func all(t *testing.T, l *eventlog.Log, channelUID string) []eventlog.Stored {
	t.Helper()
	var events []eventlog.Stored
	var position eventlog.Position
	for {
		e, err := l.Next(t.Context(), channelUID, position)
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return events
		}
		events = append(events, *e)
		position.Sequence = e.Sequence
	}
}

func ids(events []eventlog.Stored) []string {
	var s []string
	for _, e := range events {
		s = append(s, e.ID)
	}
	return s
}

func TestAppendKeepsEverythingAndOrder(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	var want []string
	for i := range 20 {
		r := record(fmt.Sprint("id-", i))
		r.Conversation = fmt.Sprint("conversation ", i%3)
		appendRecord(t, l, r)
		want = append(want, r.ID)
	}
	hostile := record("hostile")
	hostile.BusinessID, hostile.Conversation, hostile.Event = "x\r\nNats-Msg-Id: y", "> * . \x00ü", "a\nb%20"
	appendRecord(t, l, hostile)
	other := record("other")
	other.ChannelUID = "another"
	appendRecord(t, l, other)

	events := all(t, l, uid)
	if got := ids(events); fmt.Sprint(got) != fmt.Sprint(append(want, "hostile")) {
		t.Fatalf("got %v, want %v", got, want)
	}
	got := events[len(events)-1].Record
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", hostile) {
		t.Fatalf("got  %+v\nwant %+v", got, hostile)
	}
	if age := time.Since(events[0].StoredAt); age < 0 || age > time.Minute {
		t.Fatalf("stored at %v", events[0].StoredAt)
	}
	from, err := l.Next(t.Context(), uid, eventlog.Position{From: events[4].StoredAt})
	if err != nil || from.Sequence != events[4].Sequence {
		t.Fatalf("reading from a time gave %+v, %v", from, err)
	}
	if n, err := l.Pending(t.Context(), uid, eventlog.Position{Sequence: events[4].Sequence}); err != nil || n.Count != 16 || !n.Exact {
		t.Fatalf("pending %+v, %v; want 16", n, err)
	}
	if n, err := l.Pending(t.Context(), uid, eventlog.Position{Sequence: events[20].Sequence}); err != nil || n.Count != 0 || !n.Exact {
		t.Fatalf("pending at the end %+v, %v; want 0", n, err)
	}
	if n, err := l.Pending(t.Context(), "nobody", eventlog.Position{}); err != nil || n.Count != 0 || !n.Exact {
		t.Fatalf("pending of an unknown channel %+v, %v", n, err)
	}
}

func TestDuplicatesAreRecognisedAcrossRestarts(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir()}
	l := open(t, opts)
	first := appendRecord(t, l, record("a"))
	if again := appendRecord(t, l, record("a")); first.Duplicate || !again.Duplicate || again.Sequence != first.Sequence {
		t.Fatalf("first %+v, again %+v", first, again)
	}
	l = reopen(t, l, opts)
	if again := appendRecord(t, l, record("a")); !again.Duplicate {
		t.Fatal("the restarted log took a duplicate for a new event")
	}
	elsewhere := record("a")
	elsewhere.ChannelUID = "another"
	if appendRecord(t, l, elsewhere).Duplicate {
		t.Fatal("the same id in another channel was taken for a duplicate")
	}
	if got := ids(all(t, l, uid)); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
}

func TestFullLogRefusesAndRecovers(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed, MaxBytes: 64 << 10}
	l := open(t, opts)
	var full *eventlog.FullError
	stored := 0
	for i := range 100 {
		r := record(fmt.Sprint(i))
		r.Body = make([]byte, 4<<10)
		_, err := l.Append(t.Context(), r)
		if errors.As(err, &full) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if full == nil || stored < 5 {
		t.Fatalf("stored %d events, full: %v", stored, full)
	}
	if again := appendRecord(t, l, func() eventlog.Record { r := record("0"); r.Body = make([]byte, 4<<10); return r }()); !again.Duplicate {
		t.Fatal("a full log does not recognise what it holds")
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Fatalf("a full log still delivers, but is not ready: %v", err)
	}
	if got := len(all(t, l, uid)); got != stored {
		t.Fatalf("%d events are left of %d: something was dropped to make room", got, stored)
	}
	opts.MaxBytes = 1 << 20 // changed in place
	l = reopen(t, l, opts)
	appendRecord(t, l, record("more"))
}

func TestDiskReserveRefuses(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), MinFreeBytes: 1 << 60})
	// The reserve is a twentieth of the volume at most; a volume with more than that free takes events.
	_, err := l.Append(t.Context(), record("a"))
	var full *eventlog.FullError
	if err != nil && !errors.As(err, &full) {
		t.Fatalf("got %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	r := record("big")
	r.Body = make([]byte, 3<<20)
	var large *eventlog.TooLargeError
	if _, err := l.Append(t.Context(), r); !errors.As(err, &large) {
		t.Fatalf("got %v", err)
	}
	r.Body = make([]byte, 1<<20)
	appendRecord(t, l, r)
}

func TestClosedLogIsUnavailable(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var unavailable *eventlog.UnavailableError
	if _, err := l.Append(t.Context(), record("a")); !errors.As(err, &unavailable) {
		t.Fatalf("append: %v", err)
	}
	if err := l.Ready(t.Context()); !errors.As(err, &unavailable) {
		t.Fatalf("ready: %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, eventlog.Options{DataDir: dir, Fsync: relaxed})
	_, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: dir})
	var locked *eventlog.LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := open(t, eventlog.Options{DataDir: dir, Fsync: relaxed})
	appendRecord(t, l, record("a"))
	for _, name := range []string{".", "jetstream", "lock", "manifest.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others get at it", name, info.Mode())
		}
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	for name, opts := range map[string]eventlog.Options{
		"nothing":             {},
		"both":                {DataDir: dir, URL: "nats://127.0.0.1:1"},
		"embedded replicas":   {DataDir: dir, Replicas: 3},
		"short retention":     {DataDir: dir, MaxAge: time.Hour},
		"negative size":       {DataDir: dir, MaxBytes: -1},
		"unreachable":         {URL: "nats://127.0.0.1:1"},
		"credentials missing": {URL: "nats://127.0.0.1:1", CredsFile: filepath.Join(dir, "none")},
	} {
		if l, err := eventlog.Open(t.Context(), opts); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", name)
		}
	}
	_, err := eventlog.Open(t.Context(), eventlog.Options{URL: "nats://user:p4ssw0rd@127.0.0.1:1:1"})
	if err == nil || strings.Contains(err.Error(), "p4ssw0rd") {
		t.Errorf("got %v", err)
	}
	var f eventlog.Fsync
	for value, ok := range map[string]bool{"always": true, "2s": true, "1ms": false, "1h": false, "never": false, "": false} {
		if err := f.Set(value); (err == nil) != ok {
			t.Errorf("fsync %q: %v", value, err)
		} else if ok && f.String() != value {
			t.Errorf("fsync %q reads back as %q", value, f.String())
		}
	}
}

func TestUseOnce(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed}
	l := open(t, opts)
	until := time.Now().Add(10 * time.Minute)
	results := make(chan bool, 8)
	for range cap(results) {
		go func() {
			first, err := l.UseOnce(context.Background(), "state", until)
			if err != nil {
				t.Error(err)
			}
			results <- first
		}()
	}
	firsts := 0
	for range cap(results) {
		if <-results {
			firsts++
		}
	}
	if firsts != 1 {
		t.Fatalf("%d of 8 simultaneous uses were the first", firsts)
	}
	l = reopen(t, l, opts)
	if first, err := l.UseOnce(t.Context(), "state", until); err != nil || first {
		t.Fatalf("after a restart: first %v, %v", first, err)
	}
	if first, err := l.UseOnce(t.Context(), "another", until); err != nil || !first {
		t.Fatalf("another id: first %v, %v", first, err)
	}
	if _, err := l.UseOnce(t.Context(), "long", time.Now().Add(48*time.Hour)); err == nil {
		t.Fatal("an id that outlives the memory of it was accepted")
	}
	if _, err := l.UseOnce(t.Context(), "", until); err == nil {
		t.Fatal("an empty id was accepted")
	}
}

func TestUnroutedEventsAreRoutedOnceInOrder(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed}
	l := open(t, opts)
	for _, id := range []string{"1", "2", "3"} {
		r := record(id)
		r.ChannelUID = ""
		appendRecord(t, l, r)
		r.BusinessID = "somebody else"
		appendRecord(t, l, r)
	}
	appendRecord(t, l, record("2")) // came again after the channel appeared
	for _, want := range []int{3, 0} {
		if n, err := l.RouteUnrouted(t.Context(), "app", "-biz", uid, nil); err != nil || n != want {
			t.Fatalf("moved %d, %v; want %d", n, err, want)
		}
	}
	if got := ids(all(t, l, uid)); fmt.Sprint(got) != "[2 1 3]" {
		t.Fatalf("got %v", got)
	}
	for _, id := range []string{"1", "3"} {
		if !appendRecord(t, l, record(id)).Duplicate {
			t.Fatalf("event %s, routed before, was taken for a new one", id)
		}
	}
	l = reopen(t, l, opts)
	if n, err := l.RouteUnrouted(t.Context(), "app", "somebody else", "other-channel", nil); err != nil || n != 3 {
		t.Fatalf("moved %d, %v", n, err)
	}
	if e := all(t, l, "other-channel"); len(e) != 3 || string(e[0].Body) != string(record("1").Body) || e[0].BusinessID != "somebody else" {
		t.Fatalf("got %+v", e)
	}
	reopen(t, l, opts) // an emptied stream is not a damaged one
}

func TestForWhomEventsWait(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	waits := func(business string) bool {
		t.Helper()
		of, err := l.Unrouted(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return of != nil && of("app", business)
	}
	if of, err := l.Unrouted(t.Context()); of != nil || err != nil {
		t.Fatalf("of an empty log: %v, %v", of != nil, err)
	}
	r := record("1")
	r.ChannelUID = ""
	appendRecord(t, l, r)
	r.BusinessID = "somebody else"
	appendRecord(t, l, r)
	if !waits("-biz") || !waits("somebody else") || waits("nobody") {
		t.Errorf("%v, %v, %v", waits("-biz"), waits("somebody else"), waits("nobody"))
	}
	if _, err := l.RouteUnrouted(t.Context(), "app", "-biz", uid, nil); err != nil {
		t.Fatal(err)
	}
	if waits("-biz") || !waits("somebody else") {
		t.Errorf("after routing: %v, %v", waits("-biz"), waits("somebody else"))
	}
}

// TestALongBacklogIsRoutedInOrder: of many conversations at once, and after an accident from where it was.
func TestALongBacklogIsRoutedInOrder(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	const conversations, each = 30, 40 // more than are read at a time
	for n := range each {
		for c := range conversations {
			r := record(fmt.Sprintf("%02d-%02d", c, n))
			r.ChannelUID, r.Conversation = "", fmt.Sprintf("%02d", c)
			appendRecord(t, l, r)
		}
	}
	var mu sync.Mutex
	handled := map[string]int{}
	accidents := map[string]bool{"07-03": true, "01-25": true, "29-39": true}
	total, calls := 0, 0
	for done := false; !done; calls++ {
		n, err := l.RouteUnrouted(t.Context(), "app", "-biz", uid, func(_ context.Context, r eventlog.Record) error {
			mu.Lock()
			defer mu.Unlock()
			if accidents[r.ID] {
				delete(accidents, r.ID)
				return errors.New("an accident")
			}
			if handled[r.ID]++; r.ChannelUID != uid {
				t.Errorf("%s is handled before it is with its channel", r.ID)
			}
			return nil
		})
		total, done = total+n, err == nil
	}
	events := all(t, l, uid)
	if calls != 4 || total != conversations*each || len(handled) != total || len(events) != total {
		t.Fatalf("%d moved in %d calls, %d handled, %d stored", total, calls, len(handled), len(events))
	}
	next := map[string]int{}
	for _, e := range events {
		if want := fmt.Sprintf("%s-%02d", e.Conversation, next[e.Conversation]); e.ID != want {
			t.Fatalf("conversation %s: got %s, want %s", e.Conversation, e.ID, want)
		}
		next[e.Conversation]++
	}
}

func TestExpiredEventsAreNotDamage(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), MaxAge: time.Second, DedupWindow: time.Second}
	l := open(t, opts)
	for i := range 10 {
		appendRecord(t, l, record(fmt.Sprint(i)))
	}
	eventually(t, "events to expire", func() bool { return len(all(t, l, uid)) == 0 })
	l = reopen(t, l, opts)
	if r := appendRecord(t, l, record("0")); r.Duplicate || r.Sequence != 11 {
		t.Fatalf("got %+v", r)
	}
}

func TestSinkPositionsSurviveRestarts(t *testing.T) {
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed}
	l := open(t, opts)
	if states, err := l.Sinks(t.Context()); err != nil || len(states) != 0 {
		t.Fatalf("got %v, %v", states, err)
	}
	from := time.Now().UTC().Truncate(time.Millisecond)
	var last uint64
	for i := range 5 {
		last = appendRecord(t, l, record(fmt.Sprint(i))).Sequence
	}
	save := func(sink string, p eventlog.Position) {
		t.Helper()
		if err := l.SaveSink(t.Context(), eventlog.SinkState{Namespace: "ns", Name: "ch", ChannelUID: uid, Sink: sink, Position: p}); err != nil {
			t.Fatal(err)
		}
	}
	save("a", eventlog.Position{From: from})
	save("a", eventlog.Position{Sequence: last - 1, From: from})
	save("b", eventlog.Position{From: from})
	save("gone", eventlog.Position{Sequence: 1})
	save("beyond", eventlog.Position{Sequence: last + 100})
	if err := l.DeleteSink(t.Context(), uid, "gone"); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, l, opts)
	states, err := l.Sinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]eventlog.Position{}
	for _, s := range states {
		if s.Namespace != "ns" || s.Name != "ch" || s.ChannelUID != uid {
			t.Errorf("got %+v", s)
		}
		got[s.Sink] = s.Position
	}
	if len(got) != 3 || got["a"].Sequence != last-1 || got["b"].Sequence != 0 || !got["b"].From.Equal(from) || got["beyond"].Sequence != last {
		t.Fatalf("got %+v", got)
	}
}

func TestWatchTellsEveryNewEvent(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	appendRecord(t, l, record("before"))
	ctx, cancel := context.WithCancel(t.Context())
	type news struct {
		uid      string
		sequence uint64
	}
	ready, seen, done := make(chan struct{}), make(chan news, 100), make(chan error)
	go func() {
		done <- l.Watch(ctx, func() { close(ready) }, func(uid string, sequence uint64) { seen <- news{uid, sequence} })
	}()
	<-ready
	for i := range 10 {
		result := appendRecord(t, l, record(fmt.Sprint(i)))
		select {
		case n := <-seen:
			if n.uid != uid || n.sequence != result.Sequence {
				t.Fatalf("got %+v, want %+v", n, result)
			}
		case <-time.After(patience):
			t.Fatal("an event was not announced")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestWatchTellsOfDoubt: of an event that is there already, and of one whose storing was not confirmed, a watcher hears that there may be
// something, since nobody can tell whether it heard of it before.
func TestWatchTellsOfDoubt(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	result := appendRecord(t, l, record("1"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, seen := make(chan struct{}), make(chan uint64, 100)
	go func() {
		_ = l.Watch(ctx, func() { close(ready) }, func(_ string, sequence uint64) { seen <- sequence })
	}()
	<-ready
	if again := appendRecord(t, l, record("1")); !again.Duplicate || again.Sequence != result.Sequence {
		t.Fatalf("%+v", again)
	}
	if sequence := <-seen; sequence != 0 {
		t.Errorf("a duplicate is told as event %d", sequence)
	}
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	if _, err := l.Append(late, record("2")); err == nil {
		t.Fatal("stored in no time")
	}
	if sequence := <-seen; sequence != 0 {
		t.Errorf("an event that may be stored is told as event %d", sequence)
	}
}

func TestSinceIsBeforeWhatWasStoredSince(t *testing.T) {
	t.Parallel()
	l := open(t, eventlog.Options{DataDir: t.TempDir()})
	since := func(ago time.Duration) uint64 {
		t.Helper()
		p, err := l.Since(t.Context(), uid, ago)
		if err != nil || !p.From.IsZero() {
			t.Fatalf("%+v %v", p, err)
		}
		return p.Sequence
	}
	if got := since(time.Minute); got != 0 {
		t.Errorf("of an empty log it is %d", got)
	}
	other := record("0")
	other.ChannelUID = "other"
	appendRecord(t, l, other)
	if got := since(time.Minute); got != 1 {
		t.Errorf("without events of the channel it is %d, want the end", got)
	}
	appendRecord(t, l, record("1"))
	appendRecord(t, l, record("2"))
	if got := since(time.Minute); got != 1 {
		t.Errorf("a minute ago it is %d, want 1", got)
	}
	events := all(t, l, uid)
	began := events[1].StoredAt
	eventually(t, "time to pass", func() bool { return time.Since(began) > 300*time.Millisecond })
	appendRecord(t, l, record("3"))
	gap := all(t, l, uid)[2].StoredAt.Sub(began)
	eventually(t, "an answer that is not late", func() bool {
		now := time.Now()
		got, want := since(now.Sub(began)-time.Millisecond), uint64(3)
		if time.Since(now) > gap-2*time.Millisecond {
			return false // the log may have looked at its clock when the time in between was over
		}
		if got != want {
			t.Errorf("it is %d, want %d", got, want)
		}
		return true
	})
	if got := since(0); got != 4 {
		t.Errorf("now it is %d, want the end", got)
	}
}
