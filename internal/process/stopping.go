package process

import (
	"context"
	"errors"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// NotStopping is a readiness check that fails once the process was told to end: ctx is the one that ends then.
func NotStopping(ctx context.Context) healthz.Checker {
	return func(*http.Request) error {
		if ctx.Err() != nil {
			return errors.New("the process is shutting down")
		}
		return nil
	}
}
