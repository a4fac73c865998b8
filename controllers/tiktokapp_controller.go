package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokapps,verbs=list;watch;patch
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokapps/status,verbs=patch

// How often an app is looked at. Reading its Secret costs TikTok nothing; asking TikTok does.
const (
	pollAppSecret = 30 * time.Second
	checkAppEvery = 10 * time.Minute // credentials and webhook drift
	minAppRecheck = 10 * time.Second // after a failure; doubles
	maxAppRecheck = 5 * time.Minute
	appIndex      = "spec.appRef.name"
	appIDIndex    = "spec.appID"
)

// TiktokAppReconciler keeps an app's webhook registered and knows whether TikTok accepts its credentials.
type TiktokAppReconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Apps makes TikTok clients.
	Apps *appclient.Pool
	// Suspects are the apps whose credentials were just refused.
	Suspects *SuspectApps
	// Recorder tells people.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.Clock

	checks appChecks
}

// Reconcile implements reconcile.Reconciler.
func (r *TiktokAppReconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	app := &v1alpha1.TiktokApp{}
	if err := r.Client.Get(ctx, req.NamespacedName, app); err != nil {
		if apierrors.IsNotFound(err) {
			r.checks.forget(req.Name)
			r.Suspects.Clear(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	app = app.DeepCopy()
	if app.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(app, v1alpha1.Finalizer) {
		base := app.DeepCopy()
		controllerutil.AddFinalizer(app, v1alpha1.Finalizer)
		if err := r.Client.Patch(ctx, app, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := app.DeepCopy()
	defer func() {
		unwritten := r.patchStatus(ctx, before, app)
		if unwritten == nil {
			r.announce(before.Status.Conditions, app)
		}
		err = errors.Join(err, unwritten)
		if apierrors.IsConflict(err) {
			result, err = ctrl.Result{RequeueAfter: time.Second}, nil
		}
	}()
	if err := r.countChannels(ctx, app); err != nil {
		return ctrl.Result{}, err
	}
	if !app.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(app, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil // it waits for somebody else
	}
	if !app.DeletionTimestamp.IsZero() && app.Status.Channels == 0 {
		return r.reconcileDelete(ctx, app, before)
	}
	// An app that is to be deleted serves its channels until the last one is gone.
	return r.reconcile(ctx, app)
}

func (r *TiktokAppReconciler) reconcile(ctx context.Context, app *v1alpha1.TiktokApp) (ctrl.Result, error) {
	o := appObservation{now: r.Clock.Now().UTC().Truncate(time.Second)}
	app.Status.RedirectURL, app.Status.WebhookURL = app.RedirectURL(), app.WebhookURL()

	owner, err := r.ownerOf(ctx, app)
	if err != nil {
		return ctrl.Result{}, err
	}
	creds, err := r.Apps.Credentials(ctx, app)
	var missing *appclient.MissingError
	switch {
	case errors.As(err, &missing):
		r.checks.forget(app.Name)
		reason := v1alpha1.ReasonSecretNotFound
		if missing.Forbidden {
			reason = v1alpha1.ReasonSecretNotReadable
		}
		o.credentials = &problem{Reason: reason, Message: missing.Error()}
		o.webhook = &problem{Reason: reason, Message: "There is no app secret."}
	case err != nil:
		return ctrl.Result{}, err
	default:
		// TikTok is asked when something changed, when it is time, or when a channel met a refusal.
		check, due := r.checks.due(app, owner, creds, o.now, r.Suspects.Contains(app.Name))
		if due {
			check = r.check(ctx, app, owner, check)
			r.checks.put(app.Name, check)
			if check.confirmed {
				r.Suspects.Clear(app.Name)
			}
		}
		o.credentials, o.webhook, o.left = check.credentials, check.webhook, check.left
		o.unchecked = check.unchecked
		app.Status.RegisteredCallbackURL, app.Status.Registrations = check.registered, slices.Clone(check.registrations)
	}
	o.apply(app)
	return ctrl.Result{RequeueAfter: r.checks.next(app.Name, o.now, r.Suspects.Contains(app.Name))}, nil
}

// check asks TikTok for the webhook configuration, which proves the credentials, and repairs it.
func (r *TiktokAppReconciler) check(ctx context.Context, app *v1alpha1.TiktokApp, owner string, last appCheck) appCheck {
	check := last
	check.at, check.webhook, check.left, check.confirmed = r.Clock.Now(), nil, "", false
	manages := app.ManagesWebhook() && owner == ""
	if !app.ManagesWebhook() {
		check.registrations = nil // they are somebody else's now
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := r.Apps.Client(ctx, app)
	if err != nil {
		check.failures++
		check.credentials = &problem{Reason: v1alpha1.ReasonInvalidEndpoint, Message: err.Error(), Stalled: true}
		check.webhook = check.credentials
		return check
	}
	var registered []string
	var refusal error
	for _, eventType := range app.EventTypes() {
		var callback string
		var p *problem
		configuration, err := c.Webhook(ctx, string(eventType))
		if err == nil {
			check.confirmed, check.credentials, check.unchecked = true, nil, false
			callback, p, err = r.settleWebhook(ctx, app, c, string(eventType), owner, configuration.CallbackURL)
		}
		switch {
		case permanent(err):
			// Perhaps it is only this event type that the app may not have: the others tell.
			refusal, p = err, registrationRefused(app, string(eventType), err)
		case err != nil:
			if pause := r.Apps.Throttled(app, err); pause > 0 {
				check.paused = check.at.Add(pause)
			}
			return check.afterError(err, owner)
		default:
			registered = append(registered, callback)
			if manages && callback == app.WebhookURL() {
				check.registrations = noted(check.registrations, eventType, callback)
			}
		}
		if p != nil && (check.webhook == nil || !check.webhook.Stalled) { // what waits for a person is told rather than what may pass
			check.webhook = p
		}
	}
	if !check.confirmed {
		return check.afterError(refusal, owner)
	}
	check.failures, check.registered = 0, odd(registered, app.WebhookURL())
	if check.webhook != nil && check.webhook.Reason == v1alpha1.ReasonRegistrationRefused {
		check.failures = last.failures + 1
	}
	if manages {
		if err := r.removeLeft(ctx, app, c, &check); err != nil {
			check.failures = last.failures + 1
			if pause := r.Apps.Throttled(app, err); pause > 0 {
				check.paused = check.at.Add(pause)
			}
		}
	}
	return check
}

// odd is what there is to tell of the callback URLs of an app's event types: the first that is not as it should be, if there is one.
func odd(callbacks []string, want string) string {
	for _, callback := range callbacks {
		if callback != want {
			return callback
		}
	}
	return want
}

// settleWebhook repairs one event type's registration if it is the operator's to manage. It returns what is registered then.
func (r *TiktokAppReconciler) settleWebhook(ctx context.Context, app *v1alpha1.TiktokApp, c *tiktok.Client, eventType, owner, registered string,
) (string, *problem, error) {
	switch {
	case owner != "":
		return registered, duplicate(app, owner), nil
	case !app.ManagesWebhook() || registered == app.WebhookURL():
		return registered, nil, nil
	}
	if err := c.UpdateWebhook(ctx, eventType, app.WebhookURL()); err != nil {
		if permanent(err) {
			return registered, registrationRefused(app, eventType, err), nil
		}
		return registered, nil, err
	}
	note := "The webhook was registered for " + eventType + "."
	if registered != "" {
		note = fmt.Sprintf("The webhook for %s named %s and was set right.", eventType, registered)
	}
	r.Recorder.Eventf(app, nil, corev1.EventTypeNormal, v1alpha1.EventWebhookRegistered, "Register", "%s", note)
	return app.WebhookURL(), nil, nil
}

// registrationRefused is no reason to give up, unless TikTok says that the app lacks the permission: in a new environment the address of the
// webhook may not be reachable yet, and a later try finds it.
func registrationRefused(app *v1alpha1.TiktokApp, eventType string, err error) *problem {
	what := "register " + app.WebhookURL()
	if !app.ManagesWebhook() {
		what = "say what is registered"
	}
	p := &problem{
		Reason: v1alpha1.ReasonRegistrationRefused, Stalled: tiktok.ClassOf(err) == tiktok.ClassScopeMissing,
		Message: fmt.Sprintf("TikTok refused to %s for %s (%s).", what, eventType, strings.TrimSuffix(words(err), ".")),
	}
	if p.Stalled {
		p.Message += " See in TikTok's developer portal that the app is approved for it."
	} else {
		p.Message += fmt.Sprintf(" It is asked again at least every %.0f minutes: the address must be reachable for TikTok, with a good certificate.",
			maxAppRecheck.Minutes())
	}
	return p
}

func duplicate(app *v1alpha1.TiktokApp, owner string) *problem {
	return &problem{
		Reason: v1alpha1.ReasonDuplicateApp,
		Message: fmt.Sprintf("TiktokApp %s has the same app id %s and is older: it owns the webhook, which TikTok keeps once an app id. "+
			"This one takes over when that one is deleted.", owner, app.Spec.AppID),
	}
}

func permanent(err error) bool {
	class := tiktok.ClassOf(err)
	return class == tiktok.ClassPermanent || class == tiktok.ClassScopeMissing
}

// countChannels counts the channels that use the app.
func (r *TiktokAppReconciler) countChannels(ctx context.Context, app *v1alpha1.TiktokApp) error {
	var channels v1alpha1.TiktokChannelList
	if err := r.Client.List(ctx, &channels, client.MatchingFields{appIndex: app.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the channels of TiktokApp %s: %w", app.Name, err)
	}
	app.Status.Channels = int32(min(len(channels.Items), 1<<31-1))
	return nil
}

// ownerOf names the older app of the same app id that owns the webhook; "" if this one does.
func (r *TiktokAppReconciler) ownerOf(ctx context.Context, app *v1alpha1.TiktokApp) (string, error) {
	var apps v1alpha1.TiktokAppList
	if err := r.Client.List(ctx, &apps, client.MatchingFields{appIDIndex: app.Spec.AppID}, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing the TiktokApps of app id %s: %w", app.Spec.AppID, err)
	}
	owner := app
	for i := range apps.Items {
		if older(&apps.Items[i], owner) {
			owner = &apps.Items[i]
		}
	}
	if owner.Name == app.Name {
		return "", nil
	}
	return owner.Name, nil
}

func older(a, b *v1alpha1.TiktokApp) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

func (r *TiktokAppReconciler) patchStatus(ctx context.Context, before, after *v1alpha1.TiktokApp) error {
	if apiequality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status: %w", err))
	}
	return nil
}
