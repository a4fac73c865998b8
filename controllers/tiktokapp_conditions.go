package controllers

import (
	"time"

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
		if o.webhook != nil {
			blocking.Message = o.webhook.Message
		}
		set(v1alpha1.CredentialsValidCondition, metav1.ConditionUnknown, blocking.Reason, blocking.Message)
	default:
		set(v1alpha1.CredentialsValidCondition, metav1.ConditionTrue, v1alpha1.ReasonCredentialsAccepted, "TikTok accepts the app's id and secret.")
	}
	switch {
	case o.webhook != nil && o.keepsRegistration(app):
		// TikTok could not be asked; the registration that it last confirmed stands.
	case o.webhook != nil:
		set(v1alpha1.WebhookRegisteredCondition, metav1.ConditionFalse, o.webhook.Reason, o.webhook.Message)
	case !app.ManagesWebhook():
		set(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonExternallyManaged,
			"The registration is left to others: register status.webhookURL at TikTok.")
	default:
		set(v1alpha1.WebhookRegisteredCondition, metav1.ConditionTrue, v1alpha1.ReasonWebhookRegistered, "TikTok delivers to status.webhookURL.")
	}
	if blocking == nil && meta.IsStatusConditionFalse(app.Status.Conditions, v1alpha1.WebhookRegisteredCondition) {
		blocking = o.webhook
	}
	waiting := kstatus(blocking)
	for _, c := range []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition} {
		if c != waiting {
			meta.RemoveStatusCondition(&app.Status.Conditions, c)
		}
	}
	if blocking == nil {
		set(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "Channels can use the app.")
	} else {
		set(v1alpha1.ReadyCondition, metav1.ConditionFalse, blocking.Reason, blocking.Message)
		set(waiting, metav1.ConditionTrue, blocking.Reason, blocking.Message)
	}
	app.Status.ObservedGeneration = app.Generation
}

// keepsRegistration: a check that failed in passing takes back nothing that was confirmed for this spec.
func (o *appObservation) keepsRegistration(app *v1alpha1.TiktokApp) bool {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.WebhookRegisteredCondition)
	return o.webhook.Reason == v1alpha1.ReasonTransientFailure && c != nil && c.Status == metav1.ConditionTrue &&
		c.ObservedGeneration == app.Generation
}
