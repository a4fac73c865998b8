package controllers

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// SinkOption changes what ResolveSinks lets pass.
type SinkOption func(*sinkPolicy)

// sinkPolicy is what the manager knows of the webhook deployment's --allow-private-sinks; the two are separate processes.
type sinkPolicy struct{ known, private bool }

// PrivateSinks says whether the webhook deployment delivers to sinks whose uri leads to loopback and private addresses. Without it, only what
// is harmless to assume is assumed: that nobody means such an address, but for the loopback hosts that the schema admits with http, which are
// for development.
func PrivateSinks(allowed bool) SinkOption {
	return func(p *sinkPolicy) { p.known, p.private = true, allowed }
}

// ResolveSinks looks sinks up as the dispatcher does, reading Services and Secrets by name. What it can tell of an address without resolving a
// name, it tells; where a name leads, the dispatcher sees when it dials.
func ResolveSinks(reader client.Reader, options ...SinkOption) SinkResolver {
	var policy sinkPolicy
	for _, set := range options {
		set(&policy)
	}
	return func(ctx context.Context, ch *v1alpha1.TiktokChannel, s *v1alpha1.Sink) (string, error) {
		target, err := sink.Resolve(ctx, reader, ch, s)
		if err == nil {
			err = policy.check(target, s)
		}
		var (
			service *sink.ServiceNotFoundError
			secret  *sink.SecretNotFoundError
			invalid *sink.InvalidError
			refused *sink.ForbiddenError
		)
		switch {
		case errors.As(err, &service):
			return v1alpha1.ReasonSinkServiceNotFound, err
		case errors.As(err, &secret):
			return v1alpha1.ReasonSinkSecretNotFound, err
		case errors.As(err, &invalid):
			return v1alpha1.ReasonSinkInvalid, err
		case errors.As(err, &refused):
			return v1alpha1.ReasonSinkNotReadable, err
		}
		return "", err
	}
}

func (p sinkPolicy) check(target sink.Target, s *v1alpha1.Sink) error {
	development := !p.known && target.URL.Scheme == "http"
	if !target.Guarded || p.private || development {
		return nil
	}
	if err := sink.CheckHost(target.URL); err != nil {
		return &sink.InvalidError{Sink: s.Name, Problem: err.Error()}
	}
	return nil
}
