package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// How often things are looked at that no watch tells of. They cost reads only.
const (
	pollForeign = time.Minute      // a Secret that is not ours and keeps a channel from working
	pollMissing = 30 * time.Second // what a channel waits for: an import Secret, a sink's Secret
	pollImport  = 10 * time.Minute // an import Secret that is there
	pollDenied  = time.Minute      // a namespace's labels, where an app selects by them
)

func (p *pass) observeApp(ctx context.Context) error {
	app := &v1alpha1.TiktokApp{}
	name := p.ch.Spec.AppRef.Name
	err := p.Client.Get(ctx, types.NamespacedName{Name: name}, app)
	if apierrors.IsNotFound(err) {
		p.o.app = &problem{
			Reason:  v1alpha1.ReasonAppNotFound,
			Message: fmt.Sprintf("There is no TiktokApp %q: create it, or name another in a new channel.", name),
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading TiktokApp %s: %w", name, err)
	}
	allowed, err := appclient.NamespaceAllowed(ctx, p.Live, app, p.ch.Namespace)
	if err != nil {
		return err
	}
	if !allowed {
		p.wakeIn(pollDenied)
		p.o.app = &problem{
			Reason: v1alpha1.ReasonAppNotAllowed, Stalled: true,
			Message: fmt.Sprintf("TiktokApp %s does not allow channels in namespace %s: its owner sets spec.allowedNamespaces.",
				name, p.ch.Namespace),
		}
		return nil
	}
	p.app = app
	return nil
}

// appUsable says whether TikTok is known to accept the app. Until it is, no refresh token is spent on it.
func (p *pass) appUsable() bool {
	if p.app == nil || !meta.IsStatusConditionTrue(p.app.Status.Conditions, v1alpha1.CredentialsValidCondition) {
		return false // a turn of the condition wakes the channel
	}
	if p.Suspects.Contains(p.app.Name) {
		p.wakeIn(minAppRecheck)
		return false
	}
	return true
}

func (p *pass) observeSecret(ctx context.Context) error {
	snap, err := p.Store.Get(ctx, p.ch)
	var notOwned *tokenstore.NotOwnedError
	if errors.As(err, &notOwned) {
		p.wakeIn(pollForeign)
		p.o.secret = &problem{Reason: v1alpha1.ReasonTokenSecretNotOwned, Stalled: true, Message: notOwned.Error()}
		return nil
	}
	if err != nil {
		return err
	}
	p.setSnapshot(snap)
	return nil
}

// setSnapshot takes the tokens that the channel has from what was read or written.
func (p *pass) setSnapshot(snap *tokenstore.Snapshot) {
	p.snap, p.o.tokens, p.o.failures = snap, nil, nil
	if snap == nil {
		return
	}
	p.o.failures = snap.State.Failures
	if snap.HasRefreshToken() {
		p.o.tokens = &snap.Tokens
	}
}

// input is what the decision about the given tokens depends on.
func (p *pass) input(t token.Tokens, st token.State) token.Input {
	in := token.Input{
		Now: p.o.now, Tokens: t, State: st,
		Channel: p.key().String(), UID: string(p.ch.UID), Generation: p.ch.Generation,
		RefreshRequest: p.ch.RefreshRequest(), Suspended: p.ch.Spec.Suspend, AppUsable: p.appUsable(),
		Unconfirmed: p.mayConfirm(t.BusinessID),
	}
	if p.app != nil {
		in.RequiredScopes = p.app.Spec.Scopes
	}
	if p.ch.Spec.RefreshBefore != nil {
		in.RefreshBefore = p.ch.Spec.RefreshBefore.Duration
	}
	return in
}

// readProfile learns the business's name once. It is never worth a failure.
func (p *pass) readProfile(ctx context.Context) error {
	known := p.ch.Status.Username != "" && p.snap != nil && p.snap.State.Epoch == p.ch.Status.AuthorizationEpoch
	if known || p.o.blockingIdentity() || !p.o.tokens.Alive(p.o.now) || p.o.tokens.BusinessID == "" || !p.appUsable() || p.o.suspended {
		return nil
	}
	if last, ok := p.profileAt.Load(p.ch.UID); ok && p.o.now.Sub(last.(time.Time)) < pollImport {
		return nil
	}
	if wait := p.Apps.Limiter(p.app).Reserve("profile " + p.key().String()); wait > 0 {
		p.wakeIn(wait)
		return nil
	}
	p.profileAt.Store(p.ch.UID, p.o.now)
	c, err := p.Apps.Client(ctx, p.app)
	if err != nil {
		return nil // the app's own reconciler reports it
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	profile, err := c.Granted().BusinessProfile(ctx, p.o.tokens.AccessToken, p.o.tokens.BusinessID)
	if err != nil {
		p.log.Info("The business's profile could not be read; its name is not shown", "reason", err.Error())
		p.wakeIn(pollImport)
		return nil
	}
	p.ch.Status.Username, p.ch.Status.DisplayName = profile.Username, profile.DisplayName
	p.ch.Status.ProfileImageURL = profile.ProfileImageURL
	return nil
}

func (o *observation) blockingIdentity() bool {
	return o.identity != nil || o.app != nil || o.lost() != nil
}

func (p *pass) observeSinks(ctx context.Context) error {
	c := metav1.Condition{Type: v1alpha1.SinksResolvedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSinksResolved}
	c.Message = fmt.Sprintf("%d of %d sinks have an address and their Secrets.", len(p.ch.Spec.Sinks), len(p.ch.Spec.Sinks))
	if len(p.ch.Spec.Sinks) == 0 {
		c.Reason, c.Message = v1alpha1.ReasonNoSinks, "The channel has no sinks: events are stored and delivered nowhere."
	}
	var complaints []string
	for i := range p.ch.Spec.Sinks {
		sink := &p.ch.Spec.Sinks[i]
		reason, err := p.ResolveSink(ctx, p.ch, sink)
		if err == nil {
			continue
		}
		if reason == "" {
			return fmt.Errorf("resolving sink %s: %w", sink.Name, err)
		}
		c.Status, c.Reason = metav1.ConditionFalse, reason
		complaints = append(complaints, err.Error()) // it begins with the sink's name
	}
	if len(complaints) > 0 {
		c.Message = strings.Join(complaints, " ")
		p.wakeIn(pollMissing)
	}
	p.o.sinks = withFailing(c, p.ch)
	return nil
}

// readOptional reads a Secret of the user's, from the cache of labelled Secrets if it is there.
func (p *pass) readOptional(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: p.ch.Namespace, Name: name}
	if err := p.Client.Get(ctx, key, secret); err == nil {
		return secret, nil
	} else if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	if err := p.Live.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return secret, nil
}

// sortedScopes gives scopes in the order that the status keeps.
func sortedScopes(scopes []string) []string {
	s := slices.Clone(scopes)
	slices.Sort(s)
	return slices.Compact(s)
}

// words are TikTok's, for a message: what it said, its code and its request id. They hold no secrets.
func words(err error) string {
	var e *tiktok.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}
