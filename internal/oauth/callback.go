package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// callback takes TikTok's answer. The order matters: who asks is settled before anything is used up, and everything that can be refused
// without the code is refused before the code is spent.
func (h *Handler) callback(r *http.Request) *outcome {
	// From the code's exchange on, the work goes on when the browser leaves: the code is spent, and only here are its tokens.
	lasting, cancelLasting := context.WithTimeout(context.WithoutCancel(r.Context()), h.opts.AnswerWithin)
	defer cancelLasting()
	ctx, cancel := context.WithTimeout(r.Context(), min(lookupTimeout, h.opts.AnswerWithin))
	defer cancel()

	query := r.URL.Query()
	state, o := h.state(ctx, r, query.Get("state"))
	if o != nil {
		return o
	}
	ch, o := h.channel(ctx, state.Link)
	if o != nil {
		return h.logged(o, ch)
	}
	if query.Get("error") != "" {
		return h.refused(h.errorOf(ctx, ch, query), ch)
	}
	code := query.Get("code")
	if code == "" {
		return h.refused(tiktokError(ch, "code_missing", "TikTok's answer had neither a code nor an error."), ch)
	}
	a, o := h.app(ctx, ch)
	if o != nil {
		return h.refused(o, ch)
	}
	att := &attempt{Handler: h, link: state.Link, ch: ch, app: a}
	if o := att.run(lasting, code); o != nil {
		return h.refused(o, att.ch)
	}
	return h.granted(lasting, att)
}

// state verifies a state, checks that the browser is the one that began, and uses the state up. A browser that is not the one must not use it
// up: whoever sees the address could then spoil somebody's authorization.
func (h *Handler) state(ctx context.Context, r *http.Request, ticket string) (tickets.State, *outcome) {
	state, err := verify(ctx, h.keys, ticket, tickets.Keys.VerifyState)
	switch {
	case errors.Is(err, tickets.ErrExpired):
		return state, stateExpired()
	case errors.Is(err, tickets.ErrInvalid):
		return state, stateInvalid()
	case err != nil:
		return state, h.logged(unavailable(err), nil)
	}
	if !sameBrowser(r, state.Browser) {
		h.opts.Log.Info("A callback came from another browser than the start, or without its cookie", "namespace", state.Namespace, "name", state.Name)
		return state, browserMismatch()
	}
	first, err := h.opts.Uses.UseOnce(ctx, state.ID, state.AcceptedUntil)
	switch {
	case err != nil:
		return state, h.logged(unavailable(fmt.Errorf("using the state up: %w", err)), nil)
	case !first:
		return state, stateReused()
	}
	return state, nil
}

// errorOf is TikTok's answer where it is an error.
func (h *Handler) errorOf(ctx context.Context, ch *v1alpha1.TiktokChannel, query url.Values) *outcome {
	switch code := query.Get("error"); code {
	case "access_denied":
		return denied(ch)
	case "invalid_scope":
		// Whether the app can be used does not matter here: what it asked for is what the page must name.
		a := app{TiktokApp: &v1alpha1.TiktokApp{}}
		if err := h.opts.Reader.Get(ctx, types.NamespacedName{Name: ch.Spec.AppRef.Name}, a.TiktokApp); err != nil {
			return unavailable(fmt.Errorf("reading TiktokApp %s: %w", ch.Spec.AppRef.Name, err))
		}
		return invalidScope(ch, a.askedScopes())
	default:
		o := tiktokError(ch, code, query.Get("error_description"))
		if number := query.Get("error_code"); number != "" {
			o.with("TikTok's error code", word(number))
		}
		o.cause = errors.New("TikTok's error: " + word(code))
		return o
	}
}

// granted sends the browser to the receipt, so that the address with the code is left behind: reloading, going back or sharing the page is
// harmless then.
func (h *Handler) granted(ctx context.Context, att *attempt) *outcome {
	h.opts.Log.Info("A channel was authorized", "namespace", att.ch.Namespace, "name", att.ch.Name, "business", att.tokens.BusinessID)
	receipt := tickets.Receipt{Namespace: att.ch.Namespace, Name: att.ch.Name, Account: att.account, Suspended: att.ch.Spec.Suspend}
	keys, err := h.keys.get(ctx, keysFor)
	if err == nil {
		var signed string
		if signed, err = keys.SignReceipt(receipt, h.opts.Clock.Now()); err == nil {
			return &outcome{result: ResultGranted, location: att.app.doneURL(signed), redirect: http.StatusSeeOther}
		}
	}
	h.opts.Log.Error(err, "A receipt could not be made; the page is shown in place")
	return granted(receipt)
}
