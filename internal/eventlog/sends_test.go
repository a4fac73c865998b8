package eventlog_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// TestSends: of several who write about one message at once, one gets through, also when it is written about for the first time; what was
// written is there after a restart.
func TestSends(t *testing.T) {
	dir := t.TempDir()
	l := open(t, eventlog.Options{DataDir: dir, Fsync: relaxed})
	if value, revision, err := l.LoadSend(t.Context(), "m"); value != nil || revision != 0 || err != nil {
		t.Fatalf("%q %d %v", value, revision, err)
	}
	revision := uint64(0)
	for range 5 {
		var through, next atomic.Uint64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				n, err := l.SaveSend(t.Context(), "m", []byte("value"), revision)
				switch {
				case err == nil:
					through.Add(1)
					next.Store(n)
				case !errors.Is(err, eventlog.ErrSendChanged):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if through.Load() != 1 {
			t.Fatalf("%d got through", through.Load())
		}
		revision = next.Load()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, eventlog.Options{DataDir: dir, Fsync: relaxed})
	if value, got, err := l.LoadSend(t.Context(), "m"); string(value) != "value" || got != revision || err != nil {
		t.Fatalf("%q %d %v", value, got, err)
	}
	if _, err := l.SaveSend(t.Context(), "m", nil, 0); !errors.Is(err, eventlog.ErrSendChanged) {
		t.Errorf("written for the first time again: %v", err)
	}
}
