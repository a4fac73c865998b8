package appclient_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
)

func TestKeepNamespaces(t *testing.T) {
	reads := 0
	live := interceptor.NewClient(fake.NewFakeClient(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}},
	), interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		reads++
		return c.Get(ctx, key, o, opts...)
	}})
	clock := clocktesting.NewFakeClock(time.Now())
	r := appclient.KeepNamespaces(live, time.Minute, clock)
	get := func(name string) map[string]string {
		t.Helper()
		var ns corev1.Namespace
		if err := r.Get(t.Context(), client.ObjectKey{Name: name}, &ns); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return ns.Labels
	}
	get("shop")["team"] = "changed by the caller"
	if labels := get("shop"); labels["team"] != "shop" || reads != 1 {
		t.Errorf("%v after %d reads", labels, reads)
	}
	get("gone")
	get("gone")
	if reads != 3 {
		t.Errorf("%d reads: that there is none is not remembered", reads)
	}
	clock.Step(2 * time.Minute)
	if labels := get("shop"); labels["team"] != "shop" || reads != 4 {
		t.Errorf("%v after %d reads", labels, reads)
	}
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, &corev1.ConfigMap{}); err != nil || reads != 5 {
		t.Errorf("%v after %d reads", err, reads)
	}
}
