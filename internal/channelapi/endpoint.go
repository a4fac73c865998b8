// Package channelapi is what all calls of the private API about one channel have in common: it finds the channel, bounds the time, and answers
// with JSON or a problem.
package channelapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
)

// Timeout bounds a request, unless the Endpoint says otherwise.
const Timeout = 30 * time.Second

// Route is a call of the private API.
type Route struct {
	// Pattern for a http.ServeMux. Its wildcards {namespace} and {name} are what package access reads.
	Pattern string
	// Verb and Subresource of tiktokchannels that the caller must be allowed.
	Verb, Subresource string
	Handle            http.HandlerFunc
}

// Endpoint finds the channel of a request. Its zero value is of no use: give it a Reader.
type Endpoint struct {
	// Reader reads channels.
	Reader client.Reader
	// Timeout bounds a request; zero means the constant.
	Timeout time.Duration
	Logger  logr.Logger
}

// Work is what a request is for. The answer is written as JSON; nil writes nothing.
type Work func(ctx context.Context, ch *v1alpha1.TiktokChannel) (status int, answer any, err error)

// Serve finds the channel that the path names, does the work, and answers with its result as JSON. An error that holds a *problem.Error is the
// caller's to see; any other means that something is not available.
func (e Endpoint) Serve(w http.ResponseWriter, r *http.Request, work Work) {
	timeout := e.Timeout
	if timeout == 0 {
		timeout = Timeout
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	var status int
	var answer any
	ch, err := e.Channel(ctx, r)
	if err == nil {
		status, answer, err = work(ctx, ch)
	}
	if err != nil {
		e.Fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// Channel reads the channel that the path names.
func (e Endpoint) Channel(ctx context.Context, r *http.Request) (*v1alpha1.TiktokChannel, error) {
	key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	ch := &v1alpha1.TiktokChannel{}
	err := e.Reader.Get(ctx, key, ch)
	if apierrors.IsNotFound(err) {
		return nil, problem.NotFound(fmt.Sprintf("There is no TiktokChannel %s in namespace %s.", key.Name, key.Namespace))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the channel: %w", err)
	}
	return ch, nil
}

// Fail answers with an error.
func (e Endpoint) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *problem.Error
	if errors.As(err, &refusal) {
		problem.Write(w, refusal.Problem)
		return
	}
	if r.Context().Err() == nil { // else the caller has gone
		e.Logger.Error(err, "a request about a channel failed", "pattern", r.Pattern, "namespace", r.PathValue("namespace"), "channel", r.PathValue("name"))
	}
	problem.Write(w, problem.Problem{
		Name: "unavailable", Status: http.StatusServiceUnavailable, Title: "Not available at the moment",
		Detail: "The event log or the cluster could not be asked. Nothing is lost; asking again is safe.", RetryAfter: 5 * time.Second,
	})
}
