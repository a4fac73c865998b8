package eventlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/nats-io/nats.go/jetstream"
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

// What an administrator sets stays, in streams and in buckets, but for what would have events removed or not found. That is set back, and told.
func TestWhatAnAdministratorSets(t *testing.T) {
	opts := Options{DataDir: t.TempDir(), Fsync: Fsync(time.Minute)}
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	events, err := l.js.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	before := events.CachedInfo().Config
	set := before
	set.Compression, set.AllowMsgTTL, set.MirrorDirect = jetstream.S2Compression, true, true
	set.Metadata = map[string]string{"team": "platform"}
	set.RePublish = &jetstream.RePublish{Source: ">", Destination: "audit.>"}
	set.MaxMsgsPerSubject, set.MaxAge, set.Discard, set.NoAck = 1, time.Hour, jetstream.DiscardOld, true
	set.Duplicates, set.MaxMsgSize = time.Minute, 100
	set.SubjectTransform = &jetstream.SubjectTransformConfig{Source: eventsPrefix + "*.*", Destination: "elsewhere.{{wildcard(1)}}.{{wildcard(2)}}"}
	if _, err := l.js.UpdateStream(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if _, err := l.js.UpdateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: sendsBucket, TTL: time.Hour, Storage: jetstream.FileStorage, MaxBytes: 1 << 30, Metadata: set.Metadata,
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var told []string
	opts.Log = funcr.New(func(_, args string) { told = append(told, args) }, funcr.Options{})
	if l, err = Open(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if events, err = l.js.Stream(t.Context(), eventsStream); err != nil {
		t.Fatal(err)
	}
	got := events.CachedInfo().Config
	if got.Compression != set.Compression || !got.AllowMsgTTL || !got.MirrorDirect || got.Metadata["team"] != "platform" || got.RePublish == nil {
		t.Errorf("an administrator's settings are lost: %+v", got)
	}
	ours := []string{"MaxMsgsPerSubject", "MaxAge", "Discard", "NoAck", "Duplicates", "MaxMsgSize", "SubjectTransform"}
	if changed := differing(before, got); slices.ContainsFunc(changed, func(name string) bool { return slices.Contains(ours, name) }) {
		t.Errorf("%v are not as the log needs them", changed)
	}
	i := slices.IndexFunc(told, func(line string) bool { return strings.Contains(line, "is changed to the form") })
	if i < 0 || slices.ContainsFunc(ours, func(name string) bool { return !strings.Contains(told[i], fmt.Sprintf("%q", name)) }) {
		t.Errorf("told %q", told)
	}
	told = nil
	if err := l.ensureStreams(t.Context()); err != nil || len(told) > 0 {
		t.Errorf("once more, with nothing changed: %v, told %q", err, told)
	}
	kv, err := l.js.KeyValue(t.Context(), sendsBucket)
	if err != nil {
		t.Fatal(err)
	}
	status, err := kv.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := status.Config(); c.TTL != SendMaxAge || c.MaxBytes != 1<<30 || c.Metadata["team"] != "platform" {
		t.Errorf("the bucket's configuration is %+v", c)
	}
}
