package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestIdleAppCostsNothing(t *testing.T) {
	b := healthy(t, bothEventTypes)
	b.run(time.Hour, b.app)
	b.calls(listEndpoint, 2*6)
	b.calls("", 2*6)
	if n := b.writes.take(); n != 0 {
		t.Errorf("an idle app cost %d writes in an hour", n)
	}
	if e := b.drain(); e != "" {
		t.Errorf("events %q", e)
	}
}

func TestRestartOfAHealthyApp(t *testing.T) {
	b := healthy(t, bothEventTypes)
	b.restart()
	b.run(time.Minute, b.app)
	b.calls("", 2) // one question an event type
	if n := b.writes.take(); n != 0 {
		t.Errorf("a restart cost %d writes", n)
	}
	if e := b.drain(); e != "" {
		t.Errorf("events %q", e)
	}
}

// outages are the ways in which TikTok does not answer.
var outages = map[string]func(*appBench){
	"HTTP 502":       func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Status: 502}) },
	"TikTok 51065":   func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Code: 51065}) },
	"a page of HTML": func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Garbage: "html"}) },
	"half an answer": func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Garbage: "truncated"}) },
	"silence":        func(b *appBench) { b.network.silent = true },
}

// TestTikTokAwayTakesNothingBack: an app that works goes on working, and TikTok is asked less and less.
func TestTikTokAwayTakesNothingBack(t *testing.T) {
	for name, breakIt := range outages {
		t.Run(name, func(t *testing.T) {
			b := healthy(t)
			breakIt(b)
			b.clock.Step(checkAppEvery)
			b.run(11*time.Minute, b.app)
			b.stillHealthy()
			if !b.network.silent {
				b.backsOff(11 * time.Minute)
			}
			b.restart()
			b.pass()
			b.stillHealthy()

			b.sim.ClearFaults()
			b.network.silent = false
			b.sim.ResetCalls()
			b.run(15*time.Minute, b.app)
			b.calls("", 2) // once when the back-off ends, once ten minutes later
			b.stillHealthy()
		})
	}
}

func (b *appBench) stillHealthy() {
	b.t.Helper()
	b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if got := b.status().RegisteredCallbackURL; got != b.app.WebhookURL() {
		b.t.Errorf("registeredCallbackURL %q", got)
	}
	if n := b.writes.take(); n != 0 {
		b.t.Errorf("%d writes", n)
	}
}

// TestWhatIsKnownWhileTikTokIsAway: what TikTok last said of the credentials stands; of what it was never asked, nothing is claimed.
func TestWhatIsKnownWhileTikTokIsAway(t *testing.T) {
	away := func(b *appBench) { b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Status: 502}) }
	t.Run("a new app", func(t *testing.T) {
		b := newAppBench(t)
		away(b)
		b.pass()
		next := b.clock.Now().Add(minAppRecheck).UTC().Format(time.RFC3339)
		words := []string{"TikTok could not be asked and is asked again at " + next, "HTTP 502"}
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionUnknown, v1alpha1.ReasonTransientFailure, words...)
		b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, v1alpha1.ReasonTransientFailure, words...)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonTransientFailure, words...)
		b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonTransientFailure)
		b.absent(v1alpha1.StalledCondition)
	})
	t.Run("a new secret", func(t *testing.T) {
		b := healthy(t)
		away(b)
		b.put(map[string]string{v1alpha1.DefaultAppSecretKey: "new"})
		b.pass()
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionUnknown, v1alpha1.ReasonTransientFailure)
	})
	t.Run("a new public URL", func(t *testing.T) {
		b := healthy(t)
		away(b)
		b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.PublicURL = "https://new.example.com" })
		b.pass()
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
		b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, v1alpha1.ReasonTransientFailure)
		if got, want := b.status().RegisteredCallbackURL, "https://tiktok.example.com/webhooks/"+b.name; got != want {
			t.Errorf("registeredCallbackURL %q, want what was last seen: %q", got, want)
		}
		b.sim.ClearFaults()
		b.run(minAppRecheck, b.app)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
	t.Run("a refused secret", func(t *testing.T) {
		b := healthy(t)
		b.sim.SetAppSecret("new")
		b.clock.Step(checkAppEvery)
		b.pass()
		away(b)
		b.clock.Step(checkAppEvery)
		b.pass()
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
		b.restart()
		b.pass()
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsRefused)
	})
}
