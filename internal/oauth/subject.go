package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// channel finds the channel of a link and makes sure that the link is still its current one. A suspended channel may be authorized: suspending
// stops refreshes, deliveries and sending, and whoever prepares a channel needs its authorization in place before they resume it.
func (h *Handler) channel(ctx context.Context, link tickets.Link) (*v1alpha1.TiktokChannel, *outcome) {
	ch := &v1alpha1.TiktokChannel{}
	err := h.opts.Reader.Get(ctx, types.NamespacedName{Namespace: link.Namespace, Name: link.Name}, ch)
	switch {
	case apierrors.IsNotFound(err):
		return nil, channelGone(link.Namespace, link.Name)
	case err != nil:
		return nil, unavailable(fmt.Errorf("reading the channel: %w", err))
	case string(ch.UID) != link.UID || !ch.DeletionTimestamp.IsZero():
		return nil, channelGone(link.Namespace, link.Name)
	}
	epoch, o := h.epoch(ctx, ch)
	if o != nil {
		return ch, o
	}
	if epoch != link.Epoch {
		return ch, linkSuperseded(ch)
	}
	return ch, nil
}

// epoch is the channel's authorization epoch.
func (h *Handler) epoch(ctx context.Context, ch *v1alpha1.TiktokChannel) (int64, *outcome) {
	epoch, err := h.opts.Tokens.Epoch(ctx, ch)
	var notOwned *tokenstore.NotOwnedError
	switch {
	case errors.As(err, &notOwned):
		return 0, secretUnusable(ch, err, "The authorization was not begun, because its result would be lost. Nothing was changed.")
	case err != nil:
		return 0, unavailable(err)
	}
	return epoch, nil
}

// app is a channel's TiktokApp and a client for it.
type app struct {
	*v1alpha1.TiktokApp
	client *tiktok.Client
}

// app finds the app of a channel and makes sure that it can be used.
func (h *Handler) app(ctx context.Context, ch *v1alpha1.TiktokChannel) (*app, *outcome) {
	a := &v1alpha1.TiktokApp{}
	if err := h.opts.Reader.Get(ctx, types.NamespacedName{Name: ch.Spec.AppRef.Name}, a); apierrors.IsNotFound(err) {
		return nil, appNotReady(ch, err)
	} else if err != nil {
		return nil, unavailable(fmt.Errorf("reading TiktokApp %s: %w", ch.Spec.AppRef.Name, err))
	}
	allowed, err := h.opts.Allowed(ctx, a, ch.Namespace)
	if err != nil {
		return nil, unavailable(err)
	}
	if !allowed {
		return nil, namespaceNotAllowed(ch)
	}
	// Unknown is no reason to wait: the manager may not have looked yet, and TikTok will say.
	if meta.IsStatusConditionFalse(a.Status.Conditions, v1alpha1.CredentialsValidCondition) {
		return nil, appNotReady(ch, errors.New("the TiktokApp's condition CredentialsValid is False"))
	}
	client, err := h.opts.Apps.Client(ctx, a)
	var missing *appclient.MissingError
	switch {
	case errors.As(err, &missing):
		return nil, appNotReady(ch, err)
	case err != nil:
		return nil, unavailable(err)
	}
	return &app{a, client}, nil
}

// fixed is a parameter that the configured consent page's own address sets: some portals issue ready addresses, whose parameters are kept.
func (a *app) fixed(parameter string) string {
	u, err := url.Parse(a.AuthorizeEndpoint())
	if err != nil {
		return ""
	}
	return u.Query().Get(parameter)
}

// redirectURI is what TikTok was told, and must be told again with the code.
func (a *app) redirectURI() string {
	if uri := a.fixed("redirect_uri"); uri != "" {
		return uri
	}
	return a.RedirectURL()
}

// askedScopes are the scopes that TikTok was asked for.
func (a *app) askedScopes() []string {
	if scope := a.fixed("scope"); scope != "" {
		return strings.FieldsFunc(scope, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return a.Spec.Scopes
}

// doneURL is the page of a receipt.
func (a *app) doneURL(receipt string) string {
	return strings.TrimSuffix(a.AuthorizationStartURL(), startPath) + donePath + "?receipt=" + url.QueryEscape(receipt)
}
