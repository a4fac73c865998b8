package tokenstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// leave is what a process that dies after TikTok's answer leaves: a claim on the Secret and, in its journal, the n-th tokens.
func (p *process) leave(t *testing.T, ch *v1alpha1.TiktokChannel, n int) {
	t.Helper()
	base := p.claim(t, ch).Base()
	answer := tokens(n)
	e := journal.Entry{
		Namespace: ch.Namespace, Name: ch.Name, UID: string(ch.UID), StartedAt: begun, Tokens: &answer, Memory: token.Memory{HandledRequest: "now"},
		BaseDigest: token.Digest(ch.Namespace+"/"+ch.Name, base.Tokens.RefreshToken),
	}
	if err := p.journal.Write(e); err != nil {
		t.Fatal(err)
	}
}

// TestReplay: the next process stores what the Secret lacks, whatever else is in the journal, and drops what is older than the Secret.
func TestReplay(t *testing.T) {
	died := newProcess(t, "died")
	newer, older, lost, gone, anew, first := connected(t), connected(t), connected(t), connected(t), connected(t), newChannel(t)
	died.leave(t, newer, 2)
	died.leave(t, older, 2)
	authorize(t, older, 3, 1)
	died.claim(t, lost) // TikTok's answer did not arrive
	died.leave(t, gone, 2)
	remove(t, secretOf(t, gone))
	remove(t, gone)
	died.leave(t, anew, 2)
	remove(t, secretOf(t, anew))
	died.leave(t, first, 2)
	if err := os.WriteFile(filepath.Join(died.dir, "0.refresh.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}

	next := newProcessIn(t, died.dir, "next")
	if err := next.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	next.WaitPending()
	if st := has(t, newer, 2).State; st.HandledRequest != "now" || st.Epoch != 1 {
		t.Errorf("state %+v", st)
	}
	has(t, older, 3)
	if snap := next.read(t, lost); snap.Tokens.RefreshToken != tokens(1).RefreshToken {
		t.Errorf("tokens %+v", snap.Tokens)
	}
	if snap := next.read(t, gone); snap != nil {
		t.Error("the Secret of a channel that is gone was made anew")
	}
	has(t, anew, 2)
	has(t, first, 2)
	if entries := journalled(t, died.dir); len(entries) != 0 {
		t.Errorf("journal %+v", entries)
	}
}

// TestReplayGetsThrough: it waits for the API server, and looks only at the channel that the entry is of.
func TestReplayGetsThrough(t *testing.T) {
	died, ch, other := newProcess(t, "died"), connected(t), connected(t)
	died.leave(t, ch, 2)
	died.leave(t, other, 2)
	remove(t, other.DeepCopy())
	newChannelNamed(t, other.Namespace, other.Name) // goes on with the Secret, which is not for the old channel's journal to change
	reads := 0
	next := newProcessIn(t, died.dir, "next", interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key types.NamespacedName, o client.Object, opts ...client.GetOption) error {
			if reads++; reads <= 40 {
				return errors.New("connection refused")
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	if err := next.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, ch, 2)
	if snap := next.read(t, other); snap.Tokens.RefreshToken != tokens(1).RefreshToken {
		t.Errorf("tokens %+v", snap.Tokens)
	}
}

// TestReplayCutShort: what is not reached before the process is told to end stays for the next.
func TestReplayCutShort(t *testing.T) {
	died, ch := newProcess(t, "died"), connected(t)
	died.leave(t, ch, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newProcessIn(t, died.dir, "next").Replay(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if entries := journalled(t, died.dir); len(entries) != 1 {
		t.Errorf("journal %+v", entries)
	}
	if err := newProcessIn(t, died.dir, "last").Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, ch, 2)
}
