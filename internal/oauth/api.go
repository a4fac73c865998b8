package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// APIPattern is where API is mounted on a http.ServeMux. The names of its wildcards are what package access reads.
const APIPattern = "/v1/namespaces/{namespace}/channels/{name}/authorization"

// APISubresource is the virtual subresource of tiktokchannels that a caller must be allowed to create.
const APISubresource = "authorization"

// API makes authorization links for programs. It must be mounted behind access control, at APIPattern.
func (h *Handler) API() http.Handler { return http.HandlerFunc(h.serveAPI) }

// Authorization is the answer of the API.
type Authorization struct {
	// AuthorizationURL is the link that the business's owner opens.
	AuthorizationURL string `json:"authorizationURL"`
	// ExpiresAt is when the link ends, if nobody has used it.
	ExpiresAt time.Time `json:"expiresAt"`
}

func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem.Write(w, problem.Problem{
			Name: "method-not-allowed", Status: http.StatusMethodNotAllowed, Title: "Method not allowed",
			Detail: "An authorization link is made with POST.",
		})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	made, o := h.authorization(ctx, key)
	if o != nil {
		h.opts.Log.Info("No authorization link was made", "namespace", key.Namespace, "name", key.Name, "result", o.result, "reason", reason(o))
		problem.Write(w, problem.Problem{
			Name: strings.ReplaceAll(string(o.result), "_", "-"), Status: o.result.Status(), Title: o.title,
			Detail: o.what + " " + o.means, RetryAfter: o.retryAfter,
		})
		return
	}
	body, err := json.Marshal(made)
	if err != nil { // a string and a time: cannot be
		h.opts.Log.Error(err, "An authorization link could not be encoded")
		http.Error(w, "The answer could not be encoded.", http.StatusInternalServerError)
		return
	}
	h.opts.Log.V(1).Info("An authorization link was made", "namespace", key.Namespace, "name", key.Name)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(append(body, '\n'))
}

func reason(o *outcome) string {
	if o.cause != nil {
		return o.cause.Error()
	}
	return o.title
}

// authorization makes a link for a channel, also for one that is connected: its owner may want to authorize again before anything ends.
func (h *Handler) authorization(ctx context.Context, key types.NamespacedName) (*Authorization, *outcome) {
	ch := &v1alpha1.TiktokChannel{}
	if err := h.opts.Reader.Get(ctx, key, ch); apierrors.IsNotFound(err) {
		return nil, noSuchChannel(key, err)
	} else if err != nil {
		return nil, unavailable(fmt.Errorf("reading the channel: %w", err))
	}
	if !ch.DeletionTimestamp.IsZero() {
		return nil, channelGone(key.Namespace, key.Name)
	}
	epoch, o := h.epoch(ctx, ch)
	if o != nil {
		return nil, o
	}
	a, o := h.app(ctx, ch)
	if o != nil {
		return nil, o
	}
	keys, err := h.keys.get(ctx, keysFor)
	if err != nil {
		return nil, unavailable(err)
	}
	now := h.opts.Clock.Now()
	link, err := keys.SignLink(tickets.Link{Namespace: ch.Namespace, Name: ch.Name, UID: string(ch.UID), Epoch: epoch}, now)
	if err != nil {
		return nil, unavailable(err)
	}
	return &Authorization{
		AuthorizationURL: a.AuthorizationStartURL() + "?link=" + url.QueryEscape(link),
		ExpiresAt:        now.Add(tickets.LinkLifetime).UTC().Truncate(time.Second),
	}, nil
}

func noSuchChannel(key types.NamespacedName, cause error) *outcome {
	return &outcome{
		result: ResultNotFound, title: "No such channel", cause: cause,
		what:  fmt.Sprintf("There is no TiktokChannel %s in namespace %s.", key.Name, key.Namespace),
		means: "Nothing was changed.",
	}
}
