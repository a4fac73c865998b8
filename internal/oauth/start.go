package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// start sends a browser that has a link to TikTok. It changes nothing and may be repeated: previews and scanners open links, too.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) *outcome {
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	link, err := verify(ctx, h.keys, r.URL.Query().Get("link"), tickets.Keys.VerifyLink)
	switch {
	case errors.Is(err, tickets.ErrExpired):
		return linkExpired()
	case errors.Is(err, tickets.ErrInvalid):
		return linkInvalid()
	case err != nil:
		return h.logged(unavailable(err), nil)
	}
	ch, o := h.channel(ctx, link)
	if o != nil {
		return h.logged(o, ch)
	}
	a, o := h.app(ctx, ch)
	if o != nil {
		return h.logged(o, ch)
	}
	cookie := bindBrowser(r, a.Spec.PublicURL)
	keys, err := h.keys.get(ctx, keysFor)
	if err != nil {
		return h.logged(unavailable(err), ch)
	}
	state, err := keys.SignState(tickets.State{
		Link: link, ID: rand.Text(), Browser: browserDigest(cookie.Name, cookie.Value),
	}, h.opts.Clock.Now())
	if err != nil {
		return h.logged(unavailable(err), ch)
	}
	location, err := a.client.AuthorizeURL(tiktok.AuthorizeRequest{
		RedirectURI: a.RedirectURL(), State: state, Scopes: a.Spec.Scopes,
		// A person who consented before is to see which account it is, and can give what was left out. TikTok would skip that, and send
		// somebody who chose the wrong account back with it again and again.
		ForceConsent: true,
	})
	if err != nil {
		return h.logged(appNotReady(ch, fmt.Errorf("making the address of TikTok's consent page: %w", err)), ch)
	}
	http.SetCookie(w, cookie)
	h.opts.Log.V(1).Info("A browser was sent to TikTok's consent page", "namespace", ch.Namespace, "name", ch.Name)
	return &outcome{result: ResultRedirected, location: location, redirect: http.StatusFound}
}
