package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
)

const uid = "uid-1"

// counted is an event log that counts what is read of it.
type counted struct {
	*eventlog.Log
	mu            sync.Mutex
	read, fills   int
	epoch         int64
	fail          error
	duringFilling func()
}

func (c *counted) Events(ctx context.Context, q eventlog.Query) ([]*eventlog.Stored, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return nil, false, c.fail
	}
	events, more, err := c.Log.Events(ctx, q)
	c.read += len(events)
	return events, more, err
}

func (c *counted) NewestOfLanes(ctx context.Context, channelUID string, visit func(eventlog.Stored)) error {
	c.fills++
	err := c.Log.NewestOfLanes(ctx, channelUID, visit)
	if c.duringFilling != nil {
		c.duringFilling()
	}
	return err
}

func (c *counted) Epoch() int64 { return c.Log.Epoch() + c.epoch }

func open(t *testing.T) *counted {
	t.Helper()
	l, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &counted{Log: l}
}

// store adds an event of a conversation; "" is none.
func (c *counted) store(t *testing.T, id, conversation string) {
	t.Helper()
	_, err := c.Append(t.Context(), eventlog.Record{ID: id, App: "app", ChannelUID: uid, Conversation: conversation, Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
}

func page(t *testing.T, x *projection.Index, before uint64, limit int) (ids []string, last uint64, more bool) {
	t.Helper()
	places, more, err := x.Conversations(t.Context(), uid, before, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places {
		ids, last = append(ids, p.ID), p.Sequence
	}
	return ids, last, more
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestConversationsAreListedByTheirNewestEvent(t *testing.T) {
	log := open(t)
	x := projection.NewIndex(log)
	ids, _, more := page(t, x, 0, 10)
	if want(t, ids); more {
		t.Fatal("more of nothing")
	}
	for i, c := range []string{"a+/=", "b", "", "c", "a+/="} {
		log.store(t, fmt.Sprint("e", i), c)
	}
	ids, _, _ = page(t, x, 0, 10)
	want(t, ids, "a+/=", "c", "b")
	fresh, _, _ := page(t, projection.NewIndex(log), 0, 10)
	want(t, fresh, "a+/=", "c", "b")

	// A conversation that moves up while somebody pages is not shown again, and nothing is shown twice.
	first, last, more := page(t, x, 0, 2)
	if want(t, first, "a+/=", "c"); !more {
		t.Fatal("no more")
	}
	log.store(t, "e5", "d")
	log.store(t, "e6", "c")
	second, _, more := page(t, x, last, 2)
	if want(t, second, "b"); more {
		t.Fatal("more")
	}
	ids, _, _ = page(t, x, 0, 10)
	want(t, ids, "c", "d", "a+/=", "b")
}

func TestReplaysLeaveConversationsWhereTheyAre(t *testing.T) {
	log := open(t)
	x := projection.NewIndex(log)
	for i, c := range []string{"a", "b", "a", "c"} {
		log.store(t, fmt.Sprint("e", i), c)
	}
	ids, _, _ := page(t, x, 0, 10)
	want(t, ids, "c", "a", "b")
	replay := func(id, conversation string) {
		t.Helper()
		if _, err := log.Append(t.Context(), eventlog.Record{
			ID: id, App: "app", ChannelUID: uid, Conversation: conversation, Sink: "crm", Replay: "occasion", Body: []byte("{}"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	replay("e1", "b")
	replay("e0", "a")
	replay("e2", "a")
	replay("old", "of which nothing else is left")
	for _, index := range []*projection.Index{x, projection.NewIndex(log)} { // one that has seen it, one that is filled after it
		ids, _, _ = page(t, index, 0, 10)
		want(t, ids, "of which nothing else is left", "c", "a", "b")
	}
	log.store(t, "e4", "b")
	for _, index := range []*projection.Index{x, projection.NewIndex(log)} {
		first, last, _ := page(t, index, 0, 2)
		want(t, first, "b", "of which nothing else is left")
		second, _, more := page(t, index, last, 2)
		if want(t, second, "c", "a"); more {
			t.Error("more")
		}
	}
}

func TestOnlyWhatIsNewIsRead(t *testing.T) {
	log := open(t)
	x := projection.NewIndex(log)
	for i := range 50 {
		log.store(t, fmt.Sprint("e", i), fmt.Sprint("c", i%5))
	}
	page(t, x, 0, 2)
	if log.read != 0 || log.fills != 1 {
		t.Fatalf("filling reads %d events, %d times", log.read, log.fills)
	}
	log.store(t, "new", "c0")
	page(t, x, 0, 2)
	page(t, x, 0, 2)
	if log.read != 1 || log.fills != 1 {
		t.Fatalf("one new event costs the reading of %d, and %d fillings", log.read, log.fills)
	}
	// Events that are stored while the index is filled are not missed.
	log.epoch = 1 // another log: what was known is forgotten
	log.duringFilling = func() { log.store(t, "meanwhile", "late") }
	ids, _, _ := page(t, x, 0, 1)
	if want(t, ids, "late"); log.fills != 2 {
		t.Fatalf("%d fillings", log.fills)
	}
}

func TestFarBehindTheIndexIsFilledAnew(t *testing.T) {
	log := open(t)
	x := projection.NewIndex(log)
	log.store(t, "first", "old")
	page(t, x, 0, 1)
	for i := range 2600 {
		log.store(t, fmt.Sprint("e", i), fmt.Sprint("c", i%3))
	}
	ids, _, _ := page(t, x, 0, 10)
	if want(t, ids, "c1", "c0", "c2", "old"); log.read > 2100 {
		t.Fatalf("%d events were read", log.read)
	}
}

func TestAnIndexThatCannotBeReadIsAnError(t *testing.T) {
	log := open(t)
	x := projection.NewIndex(log)
	log.store(t, "e", "c")
	log.fail = errors.New("out of order")
	if _, _, err := x.Conversations(t.Context(), uid, 0, 10); !errors.Is(err, log.fail) {
		t.Fatal(err)
	}
	log.fail = nil
	ids, _, _ := page(t, x, 0, 10)
	want(t, ids, "c")
}
