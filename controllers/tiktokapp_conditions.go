package controllers

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// appObservation is what one pass over an app found out.
type appObservation struct {
	now time.Time
	// credentials says what is wrong with them, nil if TikTok accepted them.
	credentials *problem
	// webhook says why it is not registered, nil if it is.
	webhook *problem
	// left says why an event type that left the spec is still registered, "" if none is.
	left string
	// unchecked: TikTok has not said yet whether it accepts the credentials.
	unchecked bool
}

// apply writes the conditions of an app, all in memory; the caller writes them in one patch.
func (o *appObservation) apply(app *v1alpha1.TiktokApp) {
	set := func(conditionType string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: status, Reason: reason, Message: bounded(message),
			ObservedGeneration: app.Generation, LastTransitionTime: metav1.NewTime(o.now),
		})
	}
	blocking := o.credentials
	switch {
	case blocking != nil:
		set(v1alpha1.CredentialsValidCondition, metav1.ConditionFalse, blocking.Reason, blocking.Message)
	case o.unchecked:
		blocking = &problem{Reason: v1alpha1.ReasonTransientFailure, Message: "TikTok has not said yet whether it accepts the app."}
		if o.inPassing() {
			blocking = o.webhook
		}
		set(v1alpha1.CredentialsValidCondition, metav1.ConditionUnknown, blocking.Reason, blocking.Message)
	default:
		set(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted, "TikTok accepts the app's id and secret.")
	}
	switch {
	case o.webhook != nil && o.keepsRegistration(app):
		// TikTok could not be asked; what it last said of the registration stands.
	case !app.ManagesWebhook() && (o.webhook == nil || o.webhook.Reason != v1alpha1.ReasonDuplicateApp):
		status, message := o.external(app)
		set(v1alpha1.WebhookRegisteredCondition, status, v1alpha1.ReasonExternallyManaged, message)
	case o.webhook != nil:
		set(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, o.webhook.Reason, o.webhook.Message)
	default:
		set(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered, "TikTok delivers to status.webhookURL."+o.left)
	}
	if blocking == nil && meta.IsStatusConditionFalse(app.Status.Conditions, v1alpha1.WebhookRegisteredCondition) {
		blocking = o.webhook
	}
	waiting, progress := kstatus(blocking), blocking
	if !app.DeletionTimestamp.IsZero() {
		waiting, progress = v1alpha1.ReconcilingCondition, channelsExist(app)
	}
	for _, c := range []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition} {
		if c != waiting {
			meta.RemoveStatusCondition(&app.Status.Conditions, c)
		}
	}
	if blocking == nil {
		set(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "Channels can use the app.")
	} else {
		set(v1alpha1.ReadyCondition, metav1.ConditionFalse, blocking.Reason, blocking.Message)
	}
	if waiting != "" {
		set(waiting, metav1.ConditionTrue, progress.Reason, progress.Message)
	}
	app.Status.ObservedGeneration = app.Generation
}

// keepsRegistration: a check that failed in passing takes back nothing that was found out for this spec.
func (o *appObservation) keepsRegistration(app *v1alpha1.TiktokApp) bool {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.WebhookRegisteredCondition)
	return o.inPassing() && c != nil && c.Status != metav1.ConditionFalse && c.ObservedGeneration == app.Generation
}

// inPassing: TikTok could not be asked just now.
func (o *appObservation) inPassing() bool {
	return o.webhook != nil && (o.webhook.Reason == v1alpha1.ReasonTransientFailure || o.webhook.Reason == v1alpha1.ReasonRateLimited)
}

// external says what is known of a registration that is left to others. Where TikTok names another URL, or none, the webhooks may come all the
// same, by a detour or by what its list does not show: that is not known, and no fault of the app.
func (o *appObservation) external(app *v1alpha1.TiktokApp) (metav1.ConditionStatus, string) {
	const left = "The registration is left to others"
	switch registered := app.Status.RegisteredCallbackURL; {
	case o.webhook != nil:
		return metav1.ConditionUnknown, left + ", and what it is could not be found out. " + o.webhook.Message
	case registered == app.WebhookURL():
		return metav1.ConditionTrue, left + ": TikTok delivers to status.webhookURL."
	case registered == "":
		return metav1.ConditionUnknown, left + ", and TikTok names none: register status.webhookURL there."
	default:
		return metav1.ConditionUnknown, fmt.Sprintf(left+": TikTok delivers to %s. If that does not lead to status.webhookURL, register "+
			"status.webhookURL there.", registered)
	}
}

// announce raises the events of credentials that turned. It comes after the conditions were written: a pass whose write failed is repeated, and
// would tell twice.
func (r *TiktokAppReconciler) announce(before []metav1.Condition, app *v1alpha1.TiktokApp) {
	was, is := meta.FindStatusCondition(before, v1alpha1.CredentialsValidCondition),
		meta.FindStatusCondition(app.Status.Conditions, v1alpha1.CredentialsValidCondition)
	switch {
	case is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason):
	case is.Status == metav1.ConditionFalse:
		r.Recorder.Eventf(app, nil, corev1.EventTypeWarning, is.Reason, "Check", "%s", is.Message)
	case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
		r.Recorder.Eventf(app, nil, corev1.EventTypeNormal, v1alpha1.EventCredentialsAccepted, "Check", "TikTok accepts the app's id and secret again.")
	}
}
