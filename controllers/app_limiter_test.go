package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// TestThrottledAppCheckPausesTheApp: whoever of an app meets TikTok's throttling, all its calls pause.
func TestThrottledAppCheckPausesTheApp(t *testing.T) {
	b := healthy(t)
	ch := b.connect(b.name, "one")
	b.pass()
	b.clock.Step(17 * time.Hour)
	b.forgetCounts()
	b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Code: 40100, Times: 1})
	b.pass()
	if wait := b.r.Apps.Limiter(b.app).Reserve("somebody"); wait < 5*time.Minute {
		t.Fatalf("somebody else's call may go after %s, want TikTok's five minutes", wait)
	}
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes", n)
	}
	b.run(5*time.Minute-time.Second, b.app, ch)
	b.calls("", 1)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.run(10*time.Second, b.app, ch)
	b.calls(listEndpoint, 2)
	b.calls(refreshEndpoint, 1)

	t.Run("and a new app says so", func(t *testing.T) {
		b := newAppBench(t)
		b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Code: 40100, Times: 1})
		b.pass()
		until := b.clock.Now().Add(5 * time.Minute)
		words := "TikTok throttles the app, whose calls pause until " + until.UTC().Format(time.RFC3339)
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited, words)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonRateLimited, words)
		b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonRateLimited)
		b.run(5*time.Minute-time.Second, b.app)
		b.calls("", 1)
		b.run(time.Second, b.app)
		b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
		b.run(maxAppRecheck, b.app) // the pause ends in one permit, not in a burst
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
}

// TestThrottledQuestionPausesTheApp: TikTok refuses a refresh, and throttles the question whether the app is to blame.
func TestThrottledQuestionPausesTheApp(t *testing.T) {
	b := healthy(t)
	ch := b.connect(b.name, "one")
	b.clock.Step(17 * time.Hour)
	b.forgetCounts()
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Code: 40002, Times: 1})
	b.sim.InjectFault(simulator.Fault{Endpoint: listEndpoint, Code: 40100, Times: 1})
	b.passOf(ch)
	if wait := b.r.Apps.Limiter(b.app).Reserve("somebody"); wait < 5*time.Minute {
		t.Fatalf("somebody else's call may go after %s, want TikTok's five minutes", wait)
	}
	b.wantOf(ch, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonRateLimited, "code 40100")
	b.wantOf(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

// TestTurnsAreGivenBack: a channel that queues for the app's rate limit and then wants nothing leaves the queue.
func TestTurnsAreGivenBack(t *testing.T) {
	for name, leave := range map[string]func(*appBench, *v1alpha1.TiktokChannel){
		"deleted": func(b *appBench, ch *v1alpha1.TiktokChannel) { b.remove(ch) },
		"suspended": func(b *appBench, ch *v1alpha1.TiktokChannel) {
			b.load(ch)
			ch.Spec.Suspend = true
			if err := b.k8s.Update(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := healthy(t)
			ch := b.connect(b.name, "one")
			b.clock.Step(17 * time.Hour)
			b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.RateLimit.RequestsPerSecond = 1 })
			queue := b.channels.Apps.Limiter(b.app)
			if wait := queue.Reserve("somebody"); wait != 0 {
				t.Fatalf("the first waits %s", wait)
			}
			b.sim.ResetCalls()
			if again := b.passOf(ch); again != 2*time.Second { // its turn, and a second
				t.Fatalf("comes back after %s", again)
			}
			b.calls("", 0)
			leave(b, ch)
			b.passOf(ch)
			if wait := queue.Reserve("the next"); wait != time.Second {
				t.Errorf("the next waits %s: behind a turn that nobody wants", wait)
			}
		})
	}
}
