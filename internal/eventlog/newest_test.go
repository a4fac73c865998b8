package eventlog_test

import (
	"fmt"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// More lanes than the server gives in one answer to any other question, each with an older event too.
func TestNewestOfLanes(t *testing.T) {
	l := open(t, eventlog.Options{DataDir: t.TempDir(), Fsync: relaxed})
	newest := func() (got []eventlog.Stored) {
		t.Helper()
		if err := l.NewestOfLanes(t.Context(), uid, func(e eventlog.Stored) { got = append(got, e) }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := newest(); len(got) != 0 {
		t.Fatalf("an empty log has %v", got)
	}
	if n, err := l.NewestSequence(t.Context(), uid); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	const lanes = 1100
	want := map[string]string{} // id by conversation
	var last uint64
	for i := range 2 * lanes {
		r := record(fmt.Sprint("id-", i))
		r.Conversation = fmt.Sprint("c+/= ", i%lanes)
		want[r.Conversation] = r.ID
		last = appendRecord(t, l, r).Sequence
	}
	other := record("other")
	other.ChannelUID = "another"
	appendRecord(t, l, other)
	none := record("none")
	none.Conversation = ""
	want[""] = none.ID
	last = max(last, appendRecord(t, l, none).Sequence)

	got := newest()
	if len(got) != len(want) {
		t.Fatalf("%d lanes, want %d", len(got), len(want))
	}
	before := uint64(0)
	for _, e := range got {
		if want[e.Conversation] != e.ID || e.Lane != eventlog.LaneOf(e.Conversation) || e.Sequence <= before || e.ChannelUID != uid || len(e.Body) > 0 {
			t.Fatalf("%+v after %d, want the event %s", e, before, want[e.Conversation])
		}
		before = e.Sequence
	}
	if n, err := l.NewestSequence(t.Context(), uid); n != last || before != last || err != nil {
		t.Fatalf("the newest is %d and %d, want %d; %v", n, before, last, err)
	}
	for _, bad := range []string{"", "a.b", "*", ">"} {
		if err := l.NewestOfLanes(t.Context(), bad, func(eventlog.Stored) {}); err == nil {
			t.Errorf("%q is taken for a channel", bad)
		}
		if _, err := l.NewestSequence(t.Context(), bad); err == nil {
			t.Errorf("%q is taken for a channel", bad)
		}
	}
}
