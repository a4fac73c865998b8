package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
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
	for _, eventType := range app.EventTypes() {
		configuration, err := c.Webhook(ctx, string(eventType))
		if err == nil && configuration.CallbackURL == app.WebhookURL() {
			err = c.DeleteWebhook(ctx, string(eventType))
		}
		if err != nil {
			logr.FromContextOrDiscard(ctx).Info("The webhook could not be taken off TikTok", "eventType", eventType, "reason", words(err))
		}
	}
}
