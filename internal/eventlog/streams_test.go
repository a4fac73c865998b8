package eventlog

import (
	"testing"
	"time"
)

func TestStreamsAreUpdatedInPlace(t *testing.T) {
	dir := t.TempDir()
	for _, opts := range []Options{
		{DataDir: dir, Fsync: Fsync(time.Minute)},
		{DataDir: dir, Fsync: Fsync(time.Minute), DedupWindow: 100 * time.Hour, MaxAge: 200 * time.Hour, MaxBytes: 1 << 30},
		{DataDir: dir, Fsync: Fsync(time.Minute), DedupWindow: 80 * time.Hour, MaxAge: 90 * time.Hour, MaxBytes: 1 << 29},
	} {
		l, err := Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := l.js.Stream(t.Context(), eventsStream)
		if err != nil {
			t.Fatal(err)
		}
		got := stream.CachedInfo().Config
		want := l.opts
		if want.MaxBytes == 0 {
			want.MaxBytes = -1
		}
		if got.Duplicates != want.DedupWindow || got.MaxAge != want.MaxAge || got.MaxBytes != want.MaxBytes {
			t.Errorf("duplicates %s, age %s, bytes %d; want %+v", got.Duplicates, got.MaxAge, got.MaxBytes, want)
		}
		if got.Duplicates < 73*time.Hour {
			t.Errorf("duplicates are recognised for %s only, while TikTok retries for 72h", got.Duplicates)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
