package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	// revokeFor is how long a deletion waits for TikTok to answer a revocation. A namespace must not hang for ever because TikTok is away.
	revokeFor = time.Hour
	// revokeEvery is how often it is tried.
	revokeEvery = 30 * time.Second
)

// reconcileDelete deals with the tokens of a channel that goes, as spec.deletionPolicy says, and gives its business up.
func (r *TiktokChannelReconciler) reconcileDelete(ctx context.Context, ch *v1alpha1.TiktokChannel) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(ch, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	if ch.Spec.DeletionPolicy == v1alpha1.DeletionRevoke {
		reason, err := r.revoke(ctx, ch)
		if err != nil {
			return ctrl.Result{}, err
		}
		if reason != "" && r.Clock.Since(ch.DeletionTimestamp.Time) < revokeFor {
			return ctrl.Result{RequeueAfter: revokeEvery}, r.awaitRevocation(ctx, ch, reason)
		}
		if reason != "" {
			r.Recorder.Eventf(ch, nil, corev1.EventTypeWarning, v1alpha1.EventRevokeFailed, "Revoke",
				"The tokens could not be revoked within an hour and are left to expire: %s Remove the app in the business's TikTok settings.", reason)
		}
		if err := r.Store.Delete(ctx, ch); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.Reservations.Release(ctx, ch.Status.BusinessID, ch); err != nil {
		return ctrl.Result{}, err
	}
	r.profileAt.Delete(ch.UID)
	r.unnamedAt.Delete(ch.UID)
	r.replaced.Delete(ch.UID)
	base := ch.DeepCopy()
	controllerutil.RemoveFinalizer(ch, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, ch, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(fmt.Errorf("removing the finalizer: %w", err))
	}
	return ctrl.Result{}, nil
}

func (r *TiktokChannelReconciler) awaitRevocation(ctx context.Context, ch *v1alpha1.TiktokChannel, reason string) error {
	before := ch.DeepCopy()
	meta.SetStatusCondition(&ch.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDeleting, ObservedGeneration: ch.Generation,
		LastTransitionTime: metav1.NewTime(r.Clock.Now()),
		Message:            bounded("The tokens are to be revoked at TikTok before the channel goes: " + reason),
	})
	return r.patchStatus(ctx, before, ch)
}

// revoke revokes the channel's tokens at TikTok. It returns "" when that is done, or when there is nothing that could be revoked, else what
// is in the way. TikTok revokes by access token, so an expired one is refreshed first.
func (r *TiktokChannelReconciler) revoke(ctx context.Context, ch *v1alpha1.TiktokChannel) (reason string, err error) {
	snap, err := r.Store.GetLive(ctx, ch)
	var notOwned *tokenstore.NotOwnedError
	if errors.As(err, &notOwned) || (err == nil && !snap.HasRefreshToken()) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	app := &v1alpha1.TiktokApp{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: ch.Spec.AppRef.Name}, app); apierrors.IsNotFound(err) {
		return fmt.Sprintf("there is no TiktokApp %q any more.", ch.Spec.AppRef.Name), nil
	} else if err != nil {
		return "", fmt.Errorf("reading TiktokApp %s: %w", ch.Spec.AppRef.Name, err)
	}
	c, err := r.Apps.Client(ctx, app)
	if err != nil {
		return err.Error(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	access := snap.Tokens.AccessToken
	if !snap.Tokens.Alive(r.Clock.Now()) {
		fresh, err := c.RefreshToken(ctx, snap.Tokens.RefreshToken)
		if outcome := r.afterRevocation(ch, err); outcome != nil || err != nil {
			return deref(outcome), nil
		}
		access = fresh.AccessToken
	}
	err = c.RevokeToken(ctx, access)
	if err == nil {
		logr.FromContextOrDiscard(ctx).Info("The tokens were revoked at TikTok")
		r.Recorder.Eventf(ch, nil, corev1.EventTypeNormal, v1alpha1.EventRevoked, "Revoke", "The tokens were revoked at TikTok.")
	}
	return deref(r.afterRevocation(ch, err)), nil
}

// afterRevocation says what is in the way; nil if nothing is, or if TikTok no longer knows the token: then it is as good as revoked.
func (r *TiktokChannelReconciler) afterRevocation(_ *v1alpha1.TiktokChannel, err error) *string {
	switch tiktok.ClassOf(err) {
	case "", tiktok.ClassTokenRefused, tiktok.ClassPermanent, tiktok.ClassCodeRefused, tiktok.ClassScopeMissing:
		return nil
	default:
		reason := words(err)
		return &reason
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
