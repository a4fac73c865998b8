package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const messages, comments = "DIRECT_MESSAGE", "COMMENT"

func bothEventTypes(app *v1alpha1.TiktokApp) {
	app.Spec.Webhook = &v1alpha1.AppWebhook{EventTypes: []v1alpha1.WebhookEventType{messages, comments}}
}

func registeredByOthers(app *v1alpha1.TiktokApp) {
	app.Spec.Webhook = &v1alpha1.AppWebhook{Registration: v1alpha1.WebhookExternal}
}

func TestNewAppRegistersItsWebhook(t *testing.T) {
	b := newAppBench(t, bothEventTypes)
	b.pass()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
	b.absent(v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
	url := "https://tiktok.example.com/webhooks/" + b.name
	for _, eventType := range []string{messages, comments} {
		if got := b.sim.Webhook(eventType); got != url {
			t.Errorf("TikTok delivers %s to %q, want %q", eventType, got, url)
		}
	}
	st := b.status()
	if st.RedirectURL != "https://tiktok.example.com/oauth/callback/" || st.WebhookURL != url || st.RegisteredCallbackURL != url ||
		st.ObservedGeneration != b.app.Generation || st.Channels != 0 {
		t.Errorf("status %+v", st)
	}
	want := "Normal WebhookRegistered The webhook was registered for DIRECT_MESSAGE.\nNormal WebhookRegistered The webhook was registered for COMMENT."
	if e := b.drain(); e != want {
		t.Errorf("events %q", e)
	}
	b.calls("", 4)
}

func TestDriftIsSetRight(t *testing.T) {
	b := healthy(t, bothEventTypes)
	b.sim.SetWebhook(comments, "https://elsewhere.example.com/hook")
	b.run(9*time.Minute, b.app)
	b.calls("", 0)
	b.run(time.Minute, b.app)
	if got := b.sim.Webhook(comments); got != b.app.WebhookURL() {
		t.Fatalf("TikTok delivers to %q", got)
	}
	b.calls(listEndpoint, 2)
	b.calls(updateEndpoint, 1)
	if e := b.drain(); e != "Normal WebhookRegistered The webhook for COMMENT named https://elsewhere.example.com/hook and was set right." {
		t.Errorf("events %q", e)
	}
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes for what the status says already", n)
	}
}

func TestSpecChangeRegistersAtOnce(t *testing.T) {
	b := healthy(t)
	b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.PublicURL = "https://new.example.com" })
	b.pass()
	if got, want := b.sim.Webhook(messages), "https://new.example.com/webhooks/"+b.name; got != want {
		t.Errorf("TikTok delivers to %q, want %q", got, want)
	}
	if st := b.status(); st.RedirectURL != "https://new.example.com/oauth/callback/" || st.RegisteredCallbackURL != b.sim.Webhook(messages) ||
		st.ObservedGeneration != b.app.Generation {
		t.Errorf("status %+v", st)
	}
	b.edit(bothEventTypes)
	b.pass()
	if got := b.sim.Webhook(comments); got != b.app.WebhookURL() {
		t.Errorf("TikTok delivers comments to %q", got)
	}
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.calls(updateEndpoint, 2)
}

// TestExternalRegistrationIsNeverWritten: what TikTok has is shown, no more is claimed, and it is left alone.
func TestExternalRegistrationIsNeverWritten(t *testing.T) {
	b := newAppBench(t, registeredByOthers)
	for _, c := range []struct {
		registered, words string
		status            metav1.ConditionStatus
	}{
		{"", "TikTok names none: register status.webhookURL there", metav1.ConditionUnknown},
		{b.app.WebhookURL(), "TikTok delivers to status.webhookURL.", metav1.ConditionTrue},
		{"https://elsewhere.example.com/hook", "TikTok delivers to https://elsewhere.example.com/hook.", metav1.ConditionUnknown},
	} {
		b.sim.SetWebhook(messages, c.registered)
		b.pass()
		b.want(v1alpha1.WebhookRegisteredCondition, c.status, v1alpha1.ReasonExternallyManaged, c.words)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		if got := b.status().RegisteredCallbackURL; got != c.registered || b.sim.Webhook(messages) != c.registered {
			t.Errorf("registeredCallbackURL %q, TikTok has %q, want %q", got, b.sim.Webhook(messages), c.registered)
		}
		b.clock.Step(10 * time.Minute)
	}
	b.calls(updateEndpoint, 0)
	b.remove(b.app)
	b.pass()
	b.calls(deleteEndpoint, 0)
	if e := b.drain(); e != "" {
		t.Errorf("events %q", e)
	}
}

// TestRegistrationIsHandedOver: what was true of the operator's own registration is not claimed of one that was left to others, and the other way
// round. The app serves its channels through both turns, and through the hour in which TikTok cannot be asked.
func TestRegistrationIsHandedOver(t *testing.T) {
	b := healthy(t)
	b.sim.SetWebhook(messages, elsewhere)
	b.edit(registeredByOthers)
	b.pass()
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionUnknown, v1alpha1.ReasonExternallyManaged, "TikTok delivers to "+elsewhere)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.absent(v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition)

	b.writes.take()
	b.network.silent = true
	b.run(time.Hour, b.app)
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionUnknown, v1alpha1.ReasonExternallyManaged, "TikTok delivers to "+elsewhere)
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes while TikTok could not be asked", n)
	}
	b.network.silent = false
	b.edit(func(app *v1alpha1.TiktokApp) { app.Spec.Webhook.Registration = v1alpha1.WebhookManaged })
	b.pass()
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
	if got := b.sim.Webhook(messages); got != b.app.WebhookURL() {
		t.Errorf("TikTok delivers to %q", got)
	}

	b.network.silent = true
	b.edit(registeredByOthers)
	b.pass()
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionUnknown, v1alpha1.ReasonExternallyManaged, "could not be found out")
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// TestExternalRegistrationThatTikTokDoesNotTell: an event type that the app is not approved for is no fault of an app that registers nothing.
func TestExternalRegistrationThatTikTokDoesNotTell(t *testing.T) {
	b := newAppBench(t, bothEventTypes, func(app *v1alpha1.TiktokApp) { app.Spec.Webhook.Registration = v1alpha1.WebhookExternal })
	b.network.unapproved = comments
	b.pass()
	b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionUnknown, v1alpha1.ReasonExternallyManaged,
		"TikTok refused to say what is registered for COMMENT")
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// TestExternalDriftOfOneEventType: one callback URL that is right does not hide another that is not.
func TestExternalDriftOfOneEventType(t *testing.T) {
	for _, odd := range []string{messages, comments} {
		t.Run(odd, func(t *testing.T) {
			b := newAppBench(t, bothEventTypes, func(app *v1alpha1.TiktokApp) { app.Spec.Webhook.Registration = v1alpha1.WebhookExternal })
			b.sim.SetWebhook(messages, b.app.WebhookURL())
			b.sim.SetWebhook(comments, b.app.WebhookURL())
			b.sim.SetWebhook(odd, "https://elsewhere.example.com/hook")
			b.pass()
			if got := b.status().RegisteredCallbackURL; got != "https://elsewhere.example.com/hook" {
				t.Errorf("registeredCallbackURL %q", got)
			}
		})
	}
}

// TestOneEventTypeRefused: TikTok may not approve an app for all event types. That is no word about its credentials.
func TestOneEventTypeRefused(t *testing.T) {
	for name, order := range map[string][]v1alpha1.WebhookEventType{"last": {messages, comments}, "first": {comments, messages}} {
		t.Run(name, func(t *testing.T) {
			b := newAppBench(t, func(app *v1alpha1.TiktokApp) { app.Spec.Webhook = &v1alpha1.AppWebhook{EventTypes: order} })
			b.network.unapproved = comments
			b.pass()
			b.want(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
			b.want(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, v1alpha1.ReasonRegistrationRefused, comments, "40001")
			b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonRegistrationRefused, "developer portal")
		})
	}
}

// unreachable has TikTok refuse every address: it cannot reach them.
func (b *appBench) unreachable() {
	b.sim.InjectFault(simulator.Fault{Endpoint: updateEndpoint, Code: 40002, Message: "callback_url cannot be reached"})
}

// TestAddressComesLater: an app that is applied together with its Ingress. Nobody has to do anything, so nothing says that somebody must.
func TestAddressComesLater(t *testing.T) {
	b := newAppBench(t, bothEventTypes)
	b.unreachable()
	for range 2 {
		b.pass()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonRegistrationRefused, "callback_url cannot be reached", "every 5 minutes")
		b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonRegistrationRefused)
		b.absent(v1alpha1.StalledCondition)
		b.run(time.Hour, b.app)
	}
	b.sim.ClearFaults()
	b.run(maxAppRecheck, b.app)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.absent(v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
}

// TestWhatWaitsForAPersonIsTold, whichever event type comes first.
func TestWhatWaitsForAPersonIsTold(t *testing.T) {
	for name, order := range map[string][]v1alpha1.WebhookEventType{"last": {messages, comments}, "first": {comments, messages}} {
		t.Run(name, func(t *testing.T) {
			b := newAppBench(t, func(app *v1alpha1.TiktokApp) { app.Spec.Webhook = &v1alpha1.AppWebhook{EventTypes: order} })
			b.network.unapproved = comments
			b.unreachable()
			b.pass()
			b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonRegistrationRefused, comments, "40001")
		})
	}
}
