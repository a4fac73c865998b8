package controllers

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// ResolveSinks looks sinks up as the dispatcher does, reading Services and Secrets by name.
func ResolveSinks(reader client.Reader) SinkResolver {
	return func(ctx context.Context, ch *v1alpha1.TiktokChannel, s *v1alpha1.Sink) (string, error) {
		_, err := sink.Resolve(ctx, reader, ch, s)
		var (
			service *sink.ServiceNotFoundError
			secret  *sink.SecretNotFoundError
			invalid *sink.InvalidError
		)
		switch {
		case errors.As(err, &service):
			return v1alpha1.ReasonSinkServiceNotFound, err
		case errors.As(err, &secret):
			return v1alpha1.ReasonSinkSecretNotFound, err
		case errors.As(err, &invalid):
			return v1alpha1.ReasonSinkInvalid, err
		}
		return "", err
	}
}
