package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// CredentialSource reads an app's secrets. *appclient.Pool is one.
type CredentialSource interface {
	Credentials(ctx context.Context, app *v1alpha1.TiktokApp) (appclient.Credentials, error)
	// Cached returns them if they were read a short while before now.
	Cached(app *v1alpha1.TiktokApp, now time.Time) (appclient.Credentials, bool)
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
	known  map[string]known // by the app's name
}

// known are the secrets of an app as they were last read. They are used while the API server cannot be asked, so that events keep coming.
type known struct {
	appclient.Credentials
	ref v1alpha1.AppSecretReference
	// askAt is when the API server is asked again after it did not answer; zero if it did.
	askAt time.Time
}

// errOutdated says that a signature does not match the secrets as they were last read, and that they cannot be read again.
var errOutdated = errors.New("the signature does not match what was read before; it may have changed")

// verify returns nil, one of tiktok's signature errors, or a *credentialsError. A signature that does not match makes it read the secret
// again, once, and not more often than rereadInterval: a rotation is noticed at once, and forgers cannot flood the API server.
func (v *verifier) verify(ctx context.Context, app *v1alpha1.TiktokApp, header string, body []byte, now time.Time) error {
	fresh := false
	check := func() error {
		creds, isFresh, err := v.credentials(ctx, app, now)
		if fresh = isFresh; err != nil {
			return &credentialsError{err}
		}
		return tiktok.VerifySignature(header, body, creds.Secrets(), now, v.tolerance)
	}
	err := check()
	if errors.Is(err, tiktok.ErrSignatureMismatch) && v.mayReread(app.Name, now) {
		v.source.Forget(app.Name)
		err = check()
	}
	if errors.Is(err, tiktok.ErrSignatureMismatch) && !fresh {
		return &credentialsError{errOutdated} // a 401 could refuse a webhook that is signed with a new secret
	}
	return err
}

// credentials reads an app's secrets. fresh is false if the API server did not answer in time, and these are what it said before.
func (v *verifier) credentials(ctx context.Context, app *v1alpha1.TiktokApp, now time.Time) (creds appclient.Credentials, fresh bool, err error) {
	cached, isCached := v.source.Cached(app, now)
	v.mu.Lock()
	last, ok := v.known[app.Name]
	if isCached {
		if read := (known{Credentials: cached, ref: app.Spec.SecretRef}); last != read {
			v.known[app.Name] = read
		}
		v.mu.Unlock()
		return cached, true, nil
	}
	ok = ok && last.ref == app.Spec.SecretRef
	if ok && now.Before(last.askAt) {
		v.mu.Unlock()
		return last.Credentials, false, nil
	}
	if ok && !last.askAt.IsZero() { // this webhook asks, and the others do not wait for what it hears
		last.askAt = now.Add(rereadInterval)
		v.known[app.Name] = last
	}
	v.mu.Unlock()
	if ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, credentialsTimeout)
		defer cancel()
	}
	creds, err = v.source.Credentials(ctx, app)
	v.mu.Lock()
	defer v.mu.Unlock()
	var missing *appclient.MissingError
	switch {
	case err == nil:
		v.known[app.Name] = known{Credentials: creds, ref: app.Spec.SecretRef}
		return creds, true, nil
	case errors.As(err, &missing), apierrors.IsForbidden(err), apierrors.IsUnauthorized(err): // it was answered
		delete(v.known, app.Name)
		return creds, false, err
	case !ok:
		return creds, false, err
	default:
		last.askAt = now.Add(rereadInterval)
		v.known[app.Name] = last
		return last.Credentials, false, nil
	}
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
