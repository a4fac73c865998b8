package controllers

import (
	"fmt"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// TestAppsUnderAManager: what a person sees of an app's life, with nobody's hand at the reconciler.
func TestAppsUnderAManager(t *testing.T) {
	sim, url := serve(t, simulator.Options{})
	older := newApp(t, "managed-app", url, "sim-secret")
	becomes(t, older, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	becomes(t, older, v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered)
	becomes(t, older, v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted)
	eventually(t, func() string {
		return eventOf(t, older, "Normal", v1alpha1.EventWebhookRegistered, "The webhook was registered for DIRECT_MESSAGE.")
	})

	patch(t, older, `{"spec":{"publicURL":"http://localhost:9999"}}`)
	delivers(t, sim, "http://localhost:9999/webhooks/managed-app")

	younger := newAppOf(t, older, "managed-app-younger")
	becomes(t, younger, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonDuplicateApp, "TiktokApp managed-app has the same app id")

	channels := []*v1alpha1.TiktokChannel{newChannel(t, managed, "of-managed-app-1", older.Name), newChannel(t, managed, "of-managed-app-2", older.Name)}
	counts(t, older, 2)
	if err := k8s.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	becomes(t, older, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonChannelsExist, "(now 2)")
	if err := k8s.Delete(t.Context(), channels[0]); err != nil {
		t.Fatal(err)
	}
	counts(t, older, 1)
	delivers(t, sim, "http://localhost:9999/webhooks/managed-app")

	if err := k8s.Delete(t.Context(), channels[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if err := k8s.Get(t.Context(), client.ObjectKeyFromObject(older), older); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the app is still there: %v", err)
		}
		return ""
	})
	becomes(t, younger, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	delivers(t, sim, younger.WebhookURL())
}

// TestRefusedAppIsAnEvent: whoever looks at the app's Events, or collects those of the cluster, is told that TikTok refuses it, and when it ends.
func TestRefusedAppIsAnEvent(t *testing.T) {
	sim, url := serve(t, simulator.Options{})
	sim.SetAppSecret("another")
	app := newApp(t, "refused-app", url, "sim-secret")
	eventually(t, func() string {
		return eventOf(t, app, "Warning", v1alpha1.ReasonCredentialsRefused, "TikTok refuses the app (")
	})
	sim.SetAppSecret("sim-secret")
	patch(t, app, `{"spec":{"rateLimit":{"requestsPerSecond":999}}}`) // instead of waiting for the back-off
	eventually(t, func() string {
		return eventOf(t, app, "Normal", v1alpha1.EventCredentialsAccepted, "TikTok accepts the app's id and secret again.")
	})
}

func newAppOf(t *testing.T, older *v1alpha1.TiktokApp, name string) *v1alpha1.TiktokApp {
	t.Helper()
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: *older.Spec.DeepCopy()}
	if err := k8s.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s was created at %s, %s at %s", older.Name, older.CreationTimestamp, name, app.CreationTimestamp)
		}
		remove(t, app)
	})
	return app
}

func patch(t *testing.T, o client.Object, body string) {
	t.Helper()
	if err := k8s.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(body))); err != nil {
		t.Fatal(err)
	}
}

func becomes(t *testing.T, app *v1alpha1.TiktokApp, condition string, status metav1.ConditionStatus, reason string, words ...string) {
	t.Helper()
	eventually(t, func() string {
		return conditionIs(reload(t, app).Status.Conditions, condition, status, reason, words...)
	})
}

func counts(t *testing.T, app *v1alpha1.TiktokApp, want int32) {
	t.Helper()
	eventually(t, func() string {
		if got := reload(t, app).Status.Channels; got != want {
			return fmt.Sprintf("status.channels %d, want %d", got, want)
		}
		return ""
	})
}

func delivers(t *testing.T, sim *simulator.Simulator, want string) {
	t.Helper()
	eventually(t, func() string {
		if got := sim.Webhook(messages); got != want {
			return fmt.Sprintf("TikTok delivers to %q, want %q", got, want)
		}
		return ""
	})
}

// eventOf says what is missing of an Event about an object whose note holds these words; "" if it is there.
func eventOf(t *testing.T, o client.Object, eventType, reason, words string) string {
	t.Helper()
	var all eventsv1.EventList
	if err := k8s.List(t.Context(), &all); err != nil {
		return err.Error()
	}
	for i := range all.Items {
		e := &all.Items[i]
		if e.Regarding.UID == o.GetUID() && strings.Contains(e.Note, words) && e.Type == eventType && e.Reason == reason {
			return ""
		}
	}
	return fmt.Sprintf("no Event %s %s says %q", eventType, reason, words)
}
