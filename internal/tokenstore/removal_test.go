package tokenstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

func after(d time.Duration) token.Removal {
	return token.Removal{Time: begun.Add(d), Reason: token.RemovalUserDisconnected}
}

// marks notes a removal and fails unless it is news as wanted.
func (p *process) marks(t *testing.T, ch *v1alpha1.TiktokChannel, business string, r token.Removal, want bool) {
	t.Helper()
	if marked, err := p.MarkRemoved(t.Context(), ch, business, r); err != nil || marked != want {
		t.Errorf("%s of %s is news: %t (%v), want %t", r.String(), business, marked, err, want)
	}
}

func TestRemovalIsMarkedOnceAndForTheseTokensOnly(t *testing.T) {
	ch, p := connected(t), newProcess(t, "webhook")
	p.marks(t, ch, "business", after(-time.Second), false) // before the authorization
	p.marks(t, ch, "another", after(time.Minute), false)
	if has(t, ch, 1).State.Removal != nil {
		t.Fatal("it is marked")
	}
	p.marks(t, ch, "business", after(time.Minute), true)
	version := secretOf(t, ch).ResourceVersion
	p.marks(t, ch, "business", after(time.Minute), false)
	p.marks(t, ch, "business", after(time.Second), false)
	if got := secretOf(t, ch).ResourceVersion; got != version {
		t.Error("what is known was written again")
	}
	if r := has(t, ch, 1).State.Removal; r == nil || *r != after(time.Minute) {
		t.Fatalf("removal %+v", r)
	}
	// A later authorization ends it, and its late duplicates do not come back.
	later := tokens(2)
	later.ObtainedAt = begun.Add(time.Hour)
	if err := p.Authorize(t.Context(), ch, later, 1); err != nil {
		t.Fatal(err)
	}
	p.marks(t, ch, "business", after(time.Minute), false)
	if st := p.read(t, ch).State; st.Removal != nil || !st.AuthorizedAt.Equal(later.ObtainedAt) {
		t.Errorf("state %+v", st)
	}
	// A refresh moves obtained-at, but the authorization stays what removals are compared with.
	claimed := p.claim(t, ch)
	refreshed := tokens(3)
	refreshed.ObtainedAt = begun.Add(5 * time.Hour)
	claimed.Save(t.Context(), refreshed, claimed.Base().State.Memory)
	p.marks(t, ch, "business", after(2*time.Hour), true)
}

func TestNothingToMark(t *testing.T) {
	p := newProcess(t, "webhook")
	p.marks(t, newChannel(t), "business", after(time.Minute), false)
	foreign := newChannel(t)
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = foreign.Namespace, foreign.TokenSecretName()
	if err := k8s.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	p.marks(t, foreign, "business", after(time.Minute), false)
	if len(secretOf(t, foreign).Annotations) != 0 {
		t.Error("a Secret that is not ours was annotated")
	}
}

// A removal that is told while a refresh is under way stays: the refresh may have begun before.
func TestRemovalDuringARefreshStays(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	claimed := p.claim(t, ch)
	newProcess(t, "webhook").marks(t, ch, "business", after(time.Minute), true)
	if result, _ := claimed.Save(t.Context(), tokens(2), claimed.Base().State.Succeeded()); result != tokenstore.Stored {
		t.Fatalf("saved: %s", result)
	}
	if r := has(t, ch, 2).State.Removal; r == nil || *r != after(time.Minute) {
		t.Errorf("removal %+v", r)
	}
}

func TestMarkingBearsConflictsAndTellsOfFailures(t *testing.T) {
	ch := connected(t)
	meet := true
	p := newProcess(t, "webhook", interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if meet {
				meet = false
				edit(t, ch, func(s *corev1.Secret) { s.Data["theirs"] = []byte("kept") })
			}
			return c.Update(ctx, o, opts...)
		},
	})
	p.marks(t, ch, "business", after(time.Minute), true)
	if string(has(t, ch, 1).Secret.Data["theirs"]) != "kept" {
		t.Error("the other's write was undone")
	}
	away := errors.New("connection refused")
	p = newProcess(t, "webhook", interceptor.Funcs{
		Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error { return away },
	})
	if marked, err := p.MarkRemoved(t.Context(), ch, "business", after(time.Hour)); marked || !errors.Is(err, away) {
		t.Errorf("%t, %v", marked, err)
	}
}
