package controllers

import (
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// The API server goes away the moment that TikTok has answered. The store must wait for it, and the process for the store.
func TestAPIServerAwayAfterTheAnswer(t *testing.T) {
	b := connected(t)
	var refused atomic.Int32
	b.writes.failWith(func(kind string) error {
		if kind == "Secret" && b.sim.CountCalls(refreshEndpoint) > 0 && refused.Add(1) <= 50 {
			return errAway
		}
		return nil
	})
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	if refused.Load() <= 50 {
		t.Fatalf("the store gave up after %d tries", refused.Load())
	}
	b.calls(refreshEndpoint, 1)
	b.works()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// The Secret's write meets conflicts: with the same token in it the answer is stored all the same.
func TestConflictAfterTheAnswer(t *testing.T) {
	b := connected(t)
	var conflicts atomic.Int32
	b.writes.failWith(func(kind string) error {
		if kind == "Secret" && b.sim.CountCalls(refreshEndpoint) > 0 && conflicts.Add(1) <= 3 {
			s := b.secret()
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, "somebody", time.Now().String())
			_ = k8s.Update(t.Context(), s)
			return conflict("secrets", s.Name)
		}
		return nil
	})
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.works()
}

// A person authorizes while a refresh is under way: the newer authorization wins.
func TestAuthorizationDuringARefreshWins(t *testing.T) {
	b := connected(t)
	var person atomic.Bool
	var newer string
	b.writes.failWith(func(kind string) error {
		if kind == "Secret" && b.sim.CountCalls(refreshEndpoint) == 1 && person.CompareAndSwap(false, true) {
			newer = b.authorize().RefreshToken
		}
		return nil
	})
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	b.writes.failWith(nil)
	if got := string(b.secret().Data[v1alpha1.RefreshTokenKey]); got != newer {
		t.Error("the refresh replaced the newer authorization")
	}
	b.works()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// The manager dies (as with SIGKILL) after TikTok's answer is journalled and before the Secret is written: the next one stores it first.
func TestJournalIsReplayed(t *testing.T) {
	b := connected(t)
	b.clock.Step(16 * time.Hour)
	died := make(chan struct{})
	b.writes.failWith(func(kind string) error {
		if kind == "Secret" && b.sim.CountCalls(refreshEndpoint) > 0 {
			select {
			case <-died:
			default:
				close(died)
			}
			<-t.Context().Done() // this process writes no more
			return errAway
		}
		return nil
	})
	doomed := b.r
	go func() { _, _ = doomed.reconcileOnce(t, b) }()
	<-died
	b.writes.failWith(nil)

	next := b.manager("restarted")
	if err := next.Store.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.works()
	b.reconcileWith(next)
	b.calls(refreshEndpoint, 1)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// The token Secret is deleted while TikTok answers: it is written anew.
func TestSecretDeletedDuringARefresh(t *testing.T) {
	b := connected(t)
	var once atomic.Bool
	b.writes.failWith(func(kind string) error {
		if kind == "Secret" && b.sim.CountCalls(refreshEndpoint) > 0 && once.CompareAndSwap(false, true) {
			_ = k8s.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ch.Namespace, Name: b.ch.TokenSecretName()}})
		}
		return nil
	})
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.works()
}
