package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
)

// allowing answers whether an app may be used.
type allowing struct {
	allowed bool
	err     error
}

func (a *allowing) ask(context.Context, *v1alpha1.TiktokApp, string) (bool, error) {
	return a.allowed, a.err
}

func appOf(name string, from v1alpha1.NamespacesFrom) *v1alpha1.TiktokApp {
	return &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.TiktokAppSpec{AllowedNamespaces: &v1alpha1.AllowedNamespaces{From: from}},
	}
}

func reconcile(t *testing.T, r *dispatch.Reconciler, ch *v1alpha1.TiktokChannel) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ch)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// While the app does not allow the channel's namespace, events are stored and wait, as if the channel were suspended. Only a clear answer turns that.
func TestDeliveriesWaitWhileTheAppRefusesTheNamespace(t *testing.T) {
	rc := newReceiver(t, nil)
	app, ch := appOf("app", v1alpha1.NamespacesSelector), channelWith(sinkOf("s", rc.URL))
	ch.Spec.AppRef.Name = app.Name
	r := newRig(t, nil, app, ch)
	answer := &allowing{allowed: true}
	controller := &dispatch.Reconciler{Reader: r.client, Dispatcher: r.d, Allowed: answer.ask}
	reconcile(t, controller, ch)
	want := r.put(uid, "before", 3)
	eventually(t, "what came before", func() bool { return len(rc.got()) == 3 })

	answer.allowed = false
	if again := reconcile(t, controller, ch).RequeueAfter; again < time.Minute || again > 2*time.Minute {
		t.Errorf("the namespace's labels are looked at again after %s", again)
	}
	waiting := 0
	still := func(prefix string) {
		t.Helper()
		reconcile(t, controller, ch)
		want = append(want, r.put(uid, prefix, 3)...)
		waiting += 3
		eventually(t, "the backlog shows", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == float64(waiting) })
		<-time.After(100 * time.Millisecond)
		if tried := rc.tried(); tried != 3 {
			t.Fatalf("%d deliveries: %s", tried-3, prefix)
		}
	}
	still("refused")
	answer.err = errors.New("no API server")
	still("unknown")
	answer.allowed, answer.err = true, nil
	if err := r.client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	still("gone")
	app.ResourceVersion = ""
	if err := r.client.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	reconcile(t, controller, ch)
	eventually(t, "what came meanwhile", func() bool { return len(rc.got()) == len(want) })
	if got := rc.got(); !inOrder(got, want) {
		t.Errorf("got %v", got)
	}
	answer.err = errors.New("no API server")
	reconcile(t, controller, ch)
	r.put(uid, "after", 1)
	eventually(t, "an app that allowed it is not taken for one that refuses", func() bool { return len(rc.got()) == len(want)+1 })
}

// What a new process cannot find out is as the manager last saw it, and only AppNotAllowed is a refusal.
func TestARefusalIsRememberedAcrossRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		ready   *metav1.Condition
		waiting bool
	}{
		"nothing is known": {},
		"Ready":            {ready: &metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: "Ready"}},
		"another problem": {
			ready: &metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonAppNotFound},
		},
		"refused": {
			ready:   &metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonAppNotAllowed},
			waiting: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			rc := newReceiver(t, nil)
			app, ch := appOf("app", v1alpha1.NamespacesSelector), channelWith(sinkOf("s", rc.URL))
			ch.Spec.AppRef.Name = app.Name
			if c.ready != nil {
				apimeta.SetStatusCondition(&ch.Status.Conditions, *c.ready)
			}
			r := newRig(t, nil, app, ch)
			answer := &allowing{err: errors.New("no API server")}
			controller := &dispatch.Reconciler{Reader: r.client, Dispatcher: r.d, Allowed: answer.ask}
			reconcile(t, controller, ch)
			r.put(uid, "evt", 3)
			if !c.waiting {
				eventually(t, "the events", func() bool { return len(rc.got()) == 3 })
				return
			}
			eventually(t, "the backlog shows", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 3 })
			if tried := rc.tried(); tried > 0 {
				t.Fatalf("%d deliveries", tried)
			}
			// The answer counts more than the manager's, which may be old.
			answer.allowed, answer.err = true, nil
			reconcile(t, controller, ch)
			eventually(t, "the events", func() bool { return len(rc.got()) == 3 })
		})
	}
}

func TestOnlyLabelsAreLookedAtAgain(t *testing.T) {
	for from, again := range map[v1alpha1.NamespacesFrom]bool{
		v1alpha1.NamespacesAll: false, v1alpha1.NamespacesNone: false, v1alpha1.NamespacesSelector: true,
	} {
		app, ch := appOf("app", from), channelWith()
		ch.Spec.AppRef.Name = app.Name
		r := newRig(t, nil, app, ch)
		answer := &allowing{allowed: true}
		controller := &dispatch.Reconciler{Reader: r.client, Dispatcher: r.d, Allowed: answer.ask}
		if got := reconcile(t, controller, ch).RequeueAfter > 0; got != again {
			t.Errorf("%s: looked at again: %v", from, got)
		}
	}
}
