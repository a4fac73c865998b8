package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// reconcileDelete lets an app go that no channel uses any more.
func (r *TiktokAppReconciler) reconcileDelete(ctx context.Context, app, before *v1alpha1.TiktokApp) (ctrl.Result, error) {
	r.unregister(ctx, app)
	r.checks.forget(app.Name)
	r.Suspects.Clear(app.Name)
	base := app.DeepCopy()
	controllerutil.RemoveFinalizer(app, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, app, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(fmt.Errorf("removing the finalizer: %w", err))
	}
	before.Status = app.Status // the object is gone: there is no status to write
	return ctrl.Result{}, nil
}

// channelsExist says what an app's deletion waits for. It waits, rather than being refused, because that needs no admission server and
// works in whatever order a tool deletes things.
func channelsExist(app *v1alpha1.TiktokApp) *problem {
	return &problem{
		Reason: v1alpha1.ReasonChannelsExist,
		Message: fmt.Sprintf("The app is to be deleted and waits until the channels that use it are deleted (now %d); they go on working until then.",
			app.Status.Channels),
	}
}

// unregister takes the webhook off TikTok, if it is there and nobody else's. It is tried once: a registration that stays behind only makes
// TikTok call a URL that answers 404.
func (r *TiktokAppReconciler) unregister(ctx context.Context, app *v1alpha1.TiktokApp) {
	if owner, err := r.ownerOf(ctx, app); err != nil || owner != "" || !app.ManagesWebhook() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := r.Apps.Client(ctx, app)
	if err != nil {
		return
	}
	all := app.Status.Registrations
	for _, eventType := range app.EventTypes() {
		if !slices.ContainsFunc(all, func(of v1alpha1.AppRegistration) bool { return of.EventType == eventType }) {
			all = noted(all, eventType, app.WebhookURL())
		}
	}
	for _, registration := range all {
		if _, err := takeOff(ctx, app, c, registration); err != nil {
			logr.FromContextOrDiscard(ctx).Info("The webhook could not be taken off TikTok", "eventType", registration.EventType, "reason", words(err))
		}
	}
}

// removeLeft takes event types that left the spec off TikTok. What fails stays noted, and is no reason to call the app not ready: all that the
// spec asks for is delivered.
func (r *TiktokAppReconciler) removeLeft(ctx context.Context, app *v1alpha1.TiktokApp, c *tiktok.Client, check *appCheck) (failed error) {
	for _, registration := range check.registrations {
		eventType := registration.EventType
		if slices.Contains(app.EventTypes(), eventType) {
			continue
		}
		removed, err := takeOff(ctx, app, c, registration)
		if err != nil {
			check.left += fmt.Sprintf(" It may still deliver %s, which left the spec: removing that failed, and is tried again. %s", eventType, words(err))
			failed = err
			continue
		}
		check.registrations = noted(check.registrations, eventType, "")
		if removed {
			r.Recorder.Eventf(app, nil, corev1.EventTypeNormal, v1alpha1.EventWebhookRemoved, "Remove", "The webhook for %s was taken off TikTok.",
				eventType)
		}
	}
	return failed
}

// takeOff removes a registration, unless TikTok names a URL for it that is not the operator's: then it is another's, who put it there since.
func takeOff(ctx context.Context, app *v1alpha1.TiktokApp, c *tiktok.Client, of v1alpha1.AppRegistration) (removed bool, err error) {
	configuration, err := c.Webhook(ctx, string(of.EventType))
	if err != nil || (configuration.CallbackURL != of.CallbackURL && configuration.CallbackURL != app.WebhookURL()) {
		return false, err
	}
	return true, c.DeleteWebhook(ctx, string(of.EventType))
}

// noted returns the registrations with this one, in the order of their names; without it if its URL is "".
func noted(all []v1alpha1.AppRegistration, eventType v1alpha1.WebhookEventType, callback string) []v1alpha1.AppRegistration {
	all = slices.DeleteFunc(slices.Clone(all), func(of v1alpha1.AppRegistration) bool { return of.EventType == eventType })
	if callback != "" {
		all = append(all, v1alpha1.AppRegistration{EventType: eventType, CallbackURL: callback})
	}
	slices.SortFunc(all, func(a, b v1alpha1.AppRegistration) int {
		return strings.Compare(string(a.EventType), string(b.EventType))
	})
	return all
}
