package eventlog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

func TestOldOwnerCannotOverwriteNewerProgress(t *testing.T) {
	l := openLog(t)
	store(t, l, "ch", "c", 9)
	state := eventlog.SinkState{Namespace: "ns", Name: "ch", ChannelUID: "ch", Sink: "s", Position: eventlog.Position{Sequence: 3}}
	if _, revision, err := l.LoadSink(t.Context(), "ch", "s"); err != nil || revision != 0 {
		t.Fatalf("a sink that has no state has revision %d, %v", revision, err)
	}
	first, err := l.AdvanceSink(t.Context(), state, 0)
	if err != nil {
		t.Fatal(err)
	}
	state.Position.Sequence = 7
	if _, err := l.AdvanceSink(t.Context(), state, first); err != nil {
		t.Fatal(err)
	}
	for _, late := range []uint64{0, first} {
		state.Position.Sequence = 4
		if _, err := l.AdvanceSink(t.Context(), state, late); !errors.Is(err, eventlog.ErrSinkChanged) {
			t.Errorf("at revision %d: got %v", late, err)
		}
	}
	got, _, err := l.LoadSink(t.Context(), "ch", "s")
	if err != nil || got.Position.Sequence != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
	state.Position.Sequence = 100
	if err := l.SaveSink(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if got, _, err = l.LoadSink(t.Context(), "ch", "s"); err != nil || got.Position.Sequence != 9 {
		t.Errorf("a position beyond the end: got %+v, %v", got, err)
	}
}

func TestLeasesAreComparedAndSwapped(t *testing.T) {
	l := openLog(t)
	leases, err := l.OpenLeases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := leases.Put(t.Context(), "shard.1", "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leases.Put(t.Context(), "shard.1", "b", 0); !errors.Is(err, eventlog.ErrLeaseChanged) {
		t.Errorf("a second creation: %v", err)
	}
	second, err := leases.Put(t.Context(), "shard.1", "b", first)
	if err != nil {
		t.Fatal(err)
	}
	if err := leases.Drop(t.Context(), "shard.1", first); !errors.Is(err, eventlog.ErrLeaseChanged) {
		t.Errorf("giving back another's: %v", err)
	}
	all, err := leases.All(t.Context())
	if want := map[string]eventlog.Lease{"shard.1": {Holder: "b", Revision: second}}; err != nil || fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("got %v, %v", all, err)
	}
	if err := leases.Drop(t.Context(), "shard.1", second); err != nil {
		t.Fatal(err)
	}
	if all, err := leases.All(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := leases.Put(t.Context(), "shard.1", "c", 0); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}
