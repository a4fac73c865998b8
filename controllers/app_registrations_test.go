package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const elsewhere = "https://elsewhere.example.com/hook"

func messagesOnly(app *v1alpha1.TiktokApp) {
	app.Spec.Webhook.EventTypes = []v1alpha1.WebhookEventType{messages}
}

// registers checks what the app's status says that the operator registered.
func (b *appBench) registers(want ...v1alpha1.WebhookEventType) {
	b.t.Helper()
	var got []v1alpha1.WebhookEventType
	for _, r := range b.status().Registrations {
		got = append(got, r.EventType)
		if r.CallbackURL == "" {
			b.t.Errorf("status.registrations has no URL for %s", r.EventType)
		}
	}
	if !slices.Equal(got, want) {
		b.t.Fatalf("status.registrations %v, want %v", got, want)
	}
}

// delivers checks where TikTok delivers an event type; "" if it does not.
func (b *appBench) delivers(eventType, want string) {
	b.t.Helper()
	if got := b.sim.Webhook(eventType); got != want {
		b.t.Fatalf("TikTok delivers %s to %q, want %q", eventType, got, want)
	}
}

// TestEventTypeLeavesTheSpec: what the operator registered it removes, after a restart too, and asks for nothing more.
func TestEventTypeLeavesTheSpec(t *testing.T) {
	for name, between := range map[string]func(b *appBench){
		"alone":                    func(*appBench) {},
		"and the manager restarts": func(b *appBench) { b.restart() },
		"with the URL": func(b *appBench) {
			b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.PublicURL = "https://new.example.com" })
		},
		"while TikTok is away": func(b *appBench) {
			b.network.silent = true
			b.pass()
			b.network.silent = false
			b.clock.Step(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := healthy(t, bothEventTypes)
			b.registers(comments, messages)
			b.edit(messagesOnly)
			between(b)
			b.pass()
			b.delivers(comments, "")
			b.delivers(messages, b.app.WebhookURL())
			b.registers(messages)
			b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
			b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if e := b.drain(); !strings.HasSuffix(e, "Normal WebhookRemoved The webhook for COMMENT was taken off TikTok.") {
				t.Errorf("events %q", e)
			}
			b.forgetCounts()
			b.run(time.Hour, b.app)
			b.calls("", 6)
			if n := b.writes.take(); n != 0 {
				t.Errorf("%d writes afterwards", n)
			}
		})
	}
}

// TestRemovalFails: the app serves its channels, says what TikTok still has, and tries again.
func TestRemovalFails(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"TikTok is away": {Endpoint: deleteEndpoint, Status: 502, Times: 2},
		"TikTok refuses": {Endpoint: deleteEndpoint, Code: 40002, Times: 2},
		"it throttles":   {Endpoint: deleteEndpoint, Code: 40100, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := healthy(t, bothEventTypes)
			b.sim.InjectFault(fault)
			b.edit(messagesOnly)
			b.pass()
			b.delivers(comments, b.app.WebhookURL())
			b.registers(comments, messages)
			b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered,
				"may still deliver COMMENT, which left the spec")
			b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			b.run(checkAppEvery, b.app)
			b.delivers(comments, "")
			b.registers(messages)
			if c := b.message(v1alpha1.WebhookRegisteredCondition); c != "TikTok delivers to status.webhookURL." {
				t.Errorf("the condition says %q", c)
			}
		})
	}
}

// TestRegistrationsOfOthersAreLeftAlone: only what the operator registered, and TikTok still has as it was, is removed.
func TestRegistrationsOfOthersAreLeftAlone(t *testing.T) {
	t.Run("the URL was changed", func(t *testing.T) {
		b := healthy(t, bothEventTypes)
		b.sim.SetWebhook(comments, elsewhere)
		b.edit(messagesOnly)
		b.pass()
		b.delivers(comments, elsewhere)
		b.registers(messages)
	})
	t.Run("the operator never registered it", func(t *testing.T) {
		b := healthy(t)
		b.sim.SetWebhook(comments, b.app.WebhookURL())
		b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.PublicURL = "https://new.example.com" })
		b.pass()
		b.delivers(comments, "https://tiktok.example.com/webhooks/"+b.name)
		b.remove(b.app)
		b.pass()
		b.delivers(messages, "")
		b.delivers(comments, "https://tiktok.example.com/webhooks/"+b.name)
	})
	t.Run("the registration was left to others", func(t *testing.T) {
		b := healthy(t, bothEventTypes)
		b.edit(func(app *v1alpha1.TiktokApp) {
			messagesOnly(app)
			app.Spec.Webhook.Registration = v1alpha1.WebhookExternal
		})
		b.pass()
		b.registers()
		b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.Webhook.Registration = v1alpha1.WebhookManaged })
		b.pass()
		b.registers(messages)
		b.delivers(comments, b.app.WebhookURL())
		b.calls(deleteEndpoint, 0)
	})
}

// TestDeletionTakesWhatIsLeft: an app that is deleted before TikTok removed what left the spec takes that along.
func TestDeletionTakesWhatIsLeft(t *testing.T) {
	b := healthy(t, bothEventTypes)
	b.sim.InjectFault(simulator.Fault{Endpoint: deleteEndpoint, Status: 502, Times: 1})
	b.edit(messagesOnly)
	b.pass()
	b.delivers(comments, b.app.WebhookURL())
	b.remove(b.app)
	b.pass()
	b.delivers(comments, "")
	b.delivers(messages, "")
	if !b.gone(b.app) {
		t.Error("the app is still there")
	}
}
