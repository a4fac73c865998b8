package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// TestDeletionWaitsForChannels: an app that is to be deleted serves its channels until the last one is gone, and then takes its webhook along.
func TestDeletionWaitsForChannels(t *testing.T) {
	b := healthy(t, bothEventTypes)
	first, second := b.newChannel(b.name+"-1"), b.newChannel(b.name+"-2")
	b.pass()
	if got := b.status().Channels; got != 2 {
		t.Fatalf("status.channels %d, want 2", got)
	}
	b.remove(b.app)
	b.pass()
	const waits = "waits until the channels that use it are deleted (now 2)"
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonChannelsExist, waits)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.forgetCounts()

	// It still keeps its webhook and watches its secret.
	b.sim.SetWebhook(comments, "https://elsewhere.example.com/hook")
	b.run(checkAppEvery, b.app)
	if got := b.sim.Webhook(comments); got != b.app.WebhookURL() {
		t.Errorf("TikTok delivers to %q", got)
	}
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes while it waits", n)
	}
	b.put(map[string]string{v1alpha1.DefaultAppSecretKey: "another app's"})
	b.run(pollAppSecret, b.app)
	b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonChannelsExist, waits)
	b.put(map[string]string{v1alpha1.DefaultAppSecretKey: "sim-secret"})
	b.run(pollAppSecret, b.app)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

	b.letGo(first)
	b.pass()
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonChannelsExist, "(now 1)")
	b.calls(deleteEndpoint, 0)
	b.letGo(second)
	b.pass()
	if !b.gone(b.app) {
		t.Error("the app is still there")
	}
	b.calls(deleteEndpoint, 2)
	if b.sim.Webhook(messages) != "" || b.sim.Webhook(comments) != "" {
		t.Error("TikTok still delivers")
	}
}

// letGo deletes a channel and lets its reconciler finish.
func (b *appBench) letGo(ch *v1alpha1.TiktokChannel) {
	b.t.Helper()
	b.passOf(ch)
	b.remove(ch)
	b.passOf(ch)
	if !b.gone(ch) {
		b.t.Fatalf("channel %s is still there", ch.Name)
	}
}

func TestDeletionOfTheWebhook(t *testing.T) {
	t.Run("that names another URL", func(t *testing.T) {
		b := healthy(t)
		b.sim.SetWebhook(messages, "https://elsewhere.example.com/hook")
		b.remove(b.app)
		b.pass()
		b.calls(deleteEndpoint, 0)
		if !b.gone(b.app) {
			t.Error("the app is still there")
		}
	})
	for name, breakIt := range map[string]func(*appBench){
		"while TikTok is away":          func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: "*", Status: 502}) },
		"while TikTok refuses":          func(b *appBench) { b.sim.SetAppSecret("new") },
		"without a Secret":              func(b *appBench) { b.put(nil) },
		"while the app is throttled":    func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: "*", Code: 40100}) },
		"when somebody else removed it": func(b *appBench) { b.sim.SetWebhook(messages, "") },
	} {
		t.Run(name, func(t *testing.T) {
			b := healthy(t)
			breakIt(b)
			b.remove(b.app)
			b.pass()
			if !b.gone(b.app) {
				t.Error("the app is still there")
			}
			b.calls(deleteEndpoint, 0)
		})
	}
}

// TestTwoAppsOfOneID: TikTok keeps one webhook an app id, so that two would overwrite each other's.
func TestTwoAppsOfOneID(t *testing.T) {
	b := healthy(t)
	older, younger := b.app, b.newApp(b.name+"-younger")
	b.passOf(younger)
	words := []string{"TiktokApp " + older.Name + " has the same app id " + b.name + " and is older: it owns the webhook"}
	b.wantOf(younger, v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, v1alpha1.ReasonDuplicateApp, words...)
	b.wantOf(younger, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonDuplicateApp, words...)
	b.wantOf(younger, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonDuplicateApp)
	b.wantOf(younger, v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
	if got := younger.Status.RegisteredCallbackURL; got != older.WebhookURL() {
		t.Errorf("registeredCallbackURL %q, want the older's", got)
	}
	b.run(2*checkAppEvery, older, younger)
	b.calls(updateEndpoint, 0)

	third := b.newApp(b.name + "-youngest")
	b.passOf(third)
	b.sim.ResetCalls()
	b.remove(third)
	b.passOf(third)
	b.calls("", 0) // it is none of its business
	if got := b.sim.Webhook(messages); got != older.WebhookURL() {
		t.Fatalf("TikTok delivers to %q: the youngest took the older's webhook along", got)
	}

	b.remove(older)
	b.passOf(older)
	b.calls(deleteEndpoint, 1)
	b.passOf(younger)
	b.wantOf(younger, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if got := b.sim.Webhook(messages); got != younger.WebhookURL() || younger.Status.RegisteredCallbackURL != got {
		t.Errorf("TikTok delivers to %q", got)
	}
}
