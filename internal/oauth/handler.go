package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// Paths of the pages, after the path of the app's publicURL if it has one.
const (
	startPath    = "/oauth/start"
	callbackPath = "/oauth/callback"
	donePath     = "/oauth/done"
)

// Handler serves the pages of the public listener. It is safe for concurrent use.
type Handler struct {
	opts  Options
	keys  *keyring
	pages *pages
}

// New returns a Handler. The error says which option is missing.
func New(opts Options) (*Handler, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	return &Handler{opts: opts, pages: p, keys: &keyring{clock: opts.Clock, load: func(ctx context.Context) (tickets.Keys, error) {
		return tickets.Load(ctx, opts.Reader, opts.keySecret())
	}}}, nil
}

// Handles says whether a path is one of the pages. What comes before "/oauth/" does not matter: an ingress may or may not strip the path of
// the app's publicURL.
func Handles(path string) bool { return pageOf(path) != "" }

func pageOf(path string) string {
	path = strings.TrimSuffix(path, "/")
	for _, page := range []string{startPath, callbackPath, donePath} {
		if strings.HasSuffix(path, page) {
			return page
		}
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var o *outcome
	page := pageOf(r.URL.Path)
	switch {
	case page == "":
		o = notFound()
	// A HEAD of the callback would use its state up and leave the person without a page: link scanners send such.
	case r.Method != http.MethodGet && (r.Method != http.MethodHead || page == callbackPath):
		o = methodNotAllowed()
	case page == startPath:
		o = h.start(w, r)
	case page == callbackPath:
		o = h.callback(r)
	default:
		o = h.done(r)
	}
	if h.opts.Observe != nil && (page == startPath || page == callbackPath) {
		h.opts.Observe(o.result)
	}
	if err := h.pages.write(w, o); err != nil {
		h.opts.Log.Error(err, "A page could not be written", "result", o.result)
	}
}

// done shows a receipt.
func (h *Handler) done(r *http.Request) *outcome {
	receipt, err := verify(r.Context(), h.keys, r.URL.Query().Get("receipt"), tickets.Keys.VerifyReceipt)
	switch {
	case err == nil:
		return granted(receipt)
	case errors.Is(err, tickets.ErrExpired):
		return receiptExpired()
	case errors.Is(err, tickets.ErrInvalid):
		return notFound()
	default:
		return h.logged(unavailable(err), nil)
	}
}

// logged writes an outcome that is of interest to the operator into the log.
func (h *Handler) logged(o *outcome, ch *v1alpha1.TiktokChannel) *outcome {
	log := h.opts.Log.WithValues("result", o.result)
	if ch != nil {
		log = log.WithValues("namespace", ch.Namespace, "name", ch.Name)
	}
	switch {
	case o.result == ResultUnavailable:
		log.Error(o.cause, "An authorization could not go on because the API server or the event log could not be reached")
	case o.cause != nil:
		log.Info("An authorization was refused", "reason", o.cause.Error())
	default:
		log.Info("An authorization was refused")
	}
	return o
}

// refused logs an outcome and tells of it in an event on the channel. Only a person whom TikTok sent back gets here, once an authorization:
// nobody can flood a channel with events.
func (h *Handler) refused(o *outcome, ch *v1alpha1.TiktokChannel) *outcome {
	if o.event != "" && h.opts.Recorder != nil {
		h.opts.Recorder.Eventf(ch, nil, corev1.EventTypeWarning, v1alpha1.EventAuthorizationRefused, "Authorize", "%s", bounded(o.event))
	}
	return h.logged(o, ch)
}

// bounded keeps a note within what an event may hold.
func bounded(note string) string {
	const limit = 1000
	if len(note) <= limit {
		return note
	}
	return strings.ToValidUTF8(note[:limit], "") + "…"
}
