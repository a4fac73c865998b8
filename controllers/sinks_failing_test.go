package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

var errMissing = errors.New("the Secret of sink a is missing")

// reportSinks writes status.sinks as the webhook deployment does.
func (b *bench) reportSinks(states ...v1alpha1.SinkState) {
	b.t.Helper()
	var sinks []any
	for i, state := range states {
		sinks = append(sinks, map[string]any{
			"name": []string{"a", "b"}[i], "state": string(state), "since": "2026-08-01T10:00:00Z", "message": "Every attempt fails: it answered 503.",
		})
	}
	patch := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{}}}
	if len(sinks) > 0 {
		patch.Object["status"] = map[string]any{"sinks": sinks}
	}
	patch.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TiktokChannel"))
	patch.SetNamespace(b.ch.Namespace)
	patch.SetName(b.ch.Name)
	err := k8s.Status().Apply(b.t.Context(), client.ApplyConfigurationFromUnstructured(patch), client.FieldOwner("test-sinks"), client.ForceOwnership)
	if err != nil {
		b.t.Fatal(err)
	}
}

// told are the events about sinks since the last time.
func (b *bench) told() string {
	var told []string
	for _, e := range b.drain() {
		if strings.Contains(e, "Sink") {
			told = append(told, e)
		}
	}
	return strings.Join(told, "\n")
}

func TestFailingSinksAreToldAndLeaveTheChannelReady(t *testing.T) {
	b := connected(t, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "a", URI: "https://example.com/"}, {Name: "b", URI: "https://example.com/b"}}
	})
	missing := ""
	b.r.ResolveSink = func(_ context.Context, _ *v1alpha1.TiktokChannel, s *v1alpha1.Sink) (string, error) {
		if s.Name == missing {
			return v1alpha1.ReasonSinkSecretNotFound, errMissing
		}
		return "", nil
	}
	condition := func() *metav1.Condition {
		return meta.FindStatusCondition(reload(t, b.ch).Status.Conditions, v1alpha1.SinksResolvedCondition)
	}
	b.reconcile()
	b.drain()

	b.reportSinks(v1alpha1.SinkFailing)
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkFailing)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	const failing = `Warning SinkFailing Sink "a" has taken no event for more than a minute. Every attempt fails: it answered 503.`
	if told := b.told(); !strings.Contains(told, failing) || strings.Contains(told, "\n") {
		t.Errorf("told: %s", told)
	}
	if m := condition().Message; !strings.Contains(m, `Sink "a": Every attempt fails: it answered 503.`) {
		t.Errorf("the message is %q", m)
	}
	// The manager's own write has left what the webhook deployment wrote, and the other way round.
	if sinks := reload(t, b.ch).Status.Sinks; len(sinks) != 1 || sinks[0].State != v1alpha1.SinkFailing || sinks[0].Message == "" {
		t.Errorf("status.sinks is %+v", sinks)
	}
	b.clock.Step(time.Minute)
	b.reconcile()
	if told := b.told(); told != "" {
		t.Errorf("told again: %s", told)
	}

	b.reportSinks(v1alpha1.SinkHealthy, v1alpha1.SinkFailing)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.reconcile()
	if told := b.told(); !strings.Contains(told, `Normal SinkRecovered Sink "a"`) || !strings.Contains(told, `Warning SinkFailing Sink "b"`) {
		t.Errorf("told: %s", told)
	}

	// A sink that cannot be delivered to at all still makes the channel not Ready.
	missing = "a"
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkSecretNotFound)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkSecretNotFound)
	if m := condition().Message; !strings.Contains(m, `"b"`) || !strings.Contains(m, errMissing.Error()) {
		t.Errorf("the message is %q", m)
	}
	missing = ""

	// A sink that is gone from the spec is nobody's concern, even before its state is.
	b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Sinks = ch.Spec.Sinks[:1] })
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
	b.reportSinks()
	if sinks := reload(t, b.ch).Status.Sinks; len(sinks) != 0 {
		t.Errorf("status.sinks is %+v", sinks)
	}
	if told := b.told(); told != "" {
		t.Errorf("told: %s", told)
	}
}

// TestATurnOfASinkWakesTheManager: what the webhook deployment reports is seen at once, not at the channel's next pass.
func TestATurnOfASinkWakesTheManager(t *testing.T) {
	_, url := serve(t, simulator.Options{})
	app := newApp(t, "sink-turns", url, "sim-secret")
	ch := newChannel(t, managed, "sink-turns", app.Name, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "a", URI: "https://example.com/"}}
	})
	b := &bench{t: t, ch: ch}
	resolved := func(status metav1.ConditionStatus, reason string) {
		t.Helper()
		eventually(t, func() string {
			c := meta.FindStatusCondition(reload(t, ch).Status.Conditions, v1alpha1.SinksResolvedCondition)
			if c == nil || c.Status != status || c.Reason != reason {
				return fmt.Sprintf("SinksResolved is %+v", c)
			}
			return ""
		})
	}
	resolved(metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
	b.reportSinks(v1alpha1.SinkFailing)
	resolved(metav1.ConditionFalse, v1alpha1.ReasonSinkFailing)
	b.reportSinks(v1alpha1.SinkHealthy)
	resolved(metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
}
