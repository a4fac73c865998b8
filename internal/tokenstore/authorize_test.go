package tokenstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// authorize stores the n-th tokens, from a link of the given epoch.
func authorize(t *testing.T, ch *v1alpha1.TiktokChannel, n int, epoch int64) {
	t.Helper()
	if err := newProcess(t, "person").Authorize(t.Context(), ch, tokens(n), epoch); err != nil {
		t.Fatal(err)
	}
}

// TestAuthorizeReplaces: what was remembered of the old tokens, and a refresh of them that is under way, end with them.
func TestAuthorizeReplaces(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	memory := token.Memory{
		HandledRequest: "now", ImportDigest: "ab12", Failures: &token.Failures{Count: 3, NextTime: begun},
		Refusal: &token.Refusal{Reason: "Refused", TokenDigest: "cd34", Time: begun},
	}
	if err := p.claim(t, ch).Release(t.Context(), memory); err != nil {
		t.Fatal(err)
	}
	p.claim(t, ch)
	edit(t, ch, func(s *corev1.Secret) { s.Data["theirs"] = []byte("kept") })
	authorize(t, ch, 2, 1)
	snap := has(t, ch, 2)
	if st := snap.State; st.Epoch != 2 || st.Failures != nil || st.Refusal != nil || st.ImportDigest != "ab12" || st.HandledRequest != "now" {
		t.Errorf("state %+v", st)
	}
	if string(snap.Secret.Data["theirs"]) != "kept" {
		t.Error("a key that is not the operator's was dropped")
	}
}

// TestEpochs: of authorizations that began in one epoch, one succeeds, also when they end at the same moment; and none of an earlier epoch.
func TestEpochs(t *testing.T) {
	ch := newChannel(t)
	const racers = 5
	errs := make([]error, racers)
	var all sync.WaitGroup
	for i := range racers {
		p := tokenstore.New(tokenstore.Options{Client: k8s})
		all.Go(func() { errs[i] = p.Authorize(t.Context(), ch, tokens(i), 0) })
	}
	all.Wait()
	winner := -1
	for i, err := range errs {
		var stale *tokenstore.EpochError
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("both %d and %d are told that they are stored", winner, i)
		case err == nil:
			winner = i
		case !errors.As(err, &stale) || stale.Link != 0 || stale.Current != 1:
			t.Errorf("%d: %v", i, err)
		default:
			noToken(t, err.Error())
		}
	}
	if winner < 0 {
		t.Fatal("nobody is stored")
	}
	has(t, ch, winner)
	// The status remembers the epoch when the Secret is lost.
	remove(t, secretOf(t, ch))
	ch.Status.AuthorizationEpoch = 1
	var stale *tokenstore.EpochError
	if err := newProcess(t, "person").Authorize(t.Context(), ch, tokens(9), 0); !errors.As(err, &stale) {
		t.Errorf("a used link, without the Secret: %v", err)
	}
	authorize(t, ch, 7, 1)
	if epoch, err := newProcess(t, "reader").Epoch(t.Context(), ch); err != nil || epoch != 2 {
		t.Errorf("epoch %d %v", epoch, err)
	}
}

// TestAuthorizeThroughFailures: it is tried again while there is time; a write whose answer was lost is not taken for another's.
func TestAuthorizeThroughFailures(t *testing.T) {
	ch := connected(t)
	f := &faults{before: func(n int) error {
		if n == 1 {
			return errors.New("connection refused")
		}
		return nil
	}, after: func(n int) bool { return n == 2 }}
	f.armed.Store(true)
	s := tokenstore.New(tokenstore.Options{Client: interceptor.NewClient(k8s, f.funcs()), Clock: clock.RealClock{}})
	if err := s.Authorize(t.Context(), ch, tokens(2), 1); err != nil || f.count.Load() != 2 {
		t.Errorf("%v after %d tries", err, f.count.Load())
	}
	has(t, ch, 2)

	away := errors.New("away")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s = tokenstore.New(tokenstore.Options{Client: interceptor.NewClient(k8s, interceptor.Funcs{
		Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error { return away },
	})})
	err := s.Authorize(ctx, ch, tokens(3), 2)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("when its time is over: %v", err)
	}
	noToken(t, err.Error())
	has(t, ch, 2)
}
