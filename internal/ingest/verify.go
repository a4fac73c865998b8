package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// CredentialSource reads an app's secrets. *appclient.Pool is one.
type CredentialSource interface {
	Credentials(ctx context.Context, app *v1alpha1.TiktokApp) (appclient.Credentials, error)
	// Forget drops what is cached of them.
	Forget(app string)
}

// credentialsError says that there is nothing to verify a signature with.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "reading the app secret: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// verifier checks signatures against an app's current and previous secret.
type verifier struct {
	source    CredentialSource
	tolerance tiktok.Tolerance

	mu     sync.Mutex
	reread map[string]time.Time
}

// verify returns nil, one of tiktok's signature errors, or a *credentialsError. A signature that does not match makes it read the secret
// again, once, and not more often than rereadInterval: a rotation is noticed at once, and forgers cannot flood the API server.
func (v *verifier) verify(ctx context.Context, app *v1alpha1.TiktokApp, header string, body []byte, now time.Time) error {
	check := func() error {
		creds, err := v.source.Credentials(ctx, app)
		if err != nil {
			return &credentialsError{err}
		}
		return tiktok.VerifySignature(header, body, creds.Secrets(), now, v.tolerance)
	}
	err := check()
	if errors.Is(err, tiktok.ErrSignatureMismatch) && v.mayReread(app.Name, now) {
		v.source.Forget(app.Name)
		err = check()
	}
	return err
}

func (v *verifier) mayReread(app string, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if last, ok := v.reread[app]; ok && now.Sub(last) >= 0 && now.Sub(last) < rereadInterval {
		return false
	}
	v.reread[app] = now
	return true
}
