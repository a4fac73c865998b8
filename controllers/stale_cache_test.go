package controllers

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// TestCacheBehindTheStatus: the write of the token Secret wakes the channel again before the cache has the status that was just written.
// That pass writes nothing, and does not get stuck.
func TestCacheBehindTheStatus(t *testing.T) {
	b := connected(t)
	b.clock.Step(16 * time.Hour)
	old := reload(t, b.ch)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	if n := b.writes.take(); n != 3 {
		t.Fatalf("a refresh cost %d writes", n)
	}
	behind := true
	b.r.Client = interceptor.NewClient(b.r.Client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if ch, ok := o.(*v1alpha1.TiktokChannel); ok && behind {
				old.DeepCopyInto(ch)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	result, err := b.r.reconcileOnce(t, b)
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Fatalf("%+v, %v", result, err)
	}
	if n := b.writes.take(); n != 0 {
		t.Fatalf("%d writes from an old status", n)
	}
	behind = false
	b.reconcile()
	if n := b.writes.take(); n != 0 {
		t.Fatalf("%d writes where nothing changed", n)
	}
	b.calls(refreshEndpoint, 1)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}
