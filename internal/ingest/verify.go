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

	mu       sync.Mutex
	reread   map[string]time.Time
	known    map[string]known    // by the app's name
	readings map[string]*reading // that are under way, by the app's name
}

func newVerifier(source CredentialSource, tolerance tiktok.Tolerance) *verifier {
	return &verifier{
		source: source, tolerance: tolerance, reread: map[string]time.Time{}, known: map[string]known{}, readings: map[string]*reading{},
	}
}

// known are the secrets of an app as they were last read. They are used while the API server cannot be asked, so that events keep coming.
type known struct {
	appclient.Credentials
	ref v1alpha1.AppSecretReference
	// askAt is when the API server is asked again after it did not answer; zero if it did.
	askAt time.Time
}

// reading of an app's secrets, for all webhooks that wait for it.
type reading struct {
	ref v1alpha1.AppSecretReference
	// ended is closed at the end, when the others are set. fresh is false if the API server did not answer in time, and the credentials are what
	// it said before.
	ended chan struct{}
	creds appclient.Credentials
	fresh bool
	err   error
}

// errOutdated says that a signature does not match the secrets as they were last read, and that they cannot be read again.
var errOutdated = errors.New("the signature does not match what was read before; it may have changed")

// verify returns nil, one of tiktok's signature errors, or a *credentialsError. A signature that does not match makes it read the secret
// again, once, and not more often than rereadInterval: a rotation is noticed at once, and forgers cannot flood the API server.
func (v *verifier) verify(ctx context.Context, app *v1alpha1.TiktokApp, header string, body []byte, now time.Time) error {
	fresh := false
	check := func(patient bool) error {
		creds, isFresh, err := v.credentials(ctx, app, now, patient)
		if fresh = isFresh; err != nil {
			return &credentialsError{err}
		}
		return tiktok.VerifySignature(header, body, creds.Secrets(), now, v.tolerance)
	}
	err := check(false)
	if errors.Is(err, tiktok.ErrSignatureMismatch) && !fresh {
		err = check(true)
	}
	if errors.Is(err, tiktok.ErrSignatureMismatch) && v.mayReread(app.Name, now) {
		v.forget(app.Name)
		err = check(true)
	}
	if errors.Is(err, tiktok.ErrSignatureMismatch) && !fresh {
		return &credentialsError{errOutdated} // a 401 could refuse a webhook that is signed with a new secret
	}
	return err
}

// credentials gives an app's secrets. fresh is false if they are what the API server said before: it did not answer in time; or somebody is
// asking it, which one webhook does for all. A patient caller waits for that.
func (v *verifier) credentials(
	ctx context.Context, app *v1alpha1.TiktokApp, now time.Time, patient bool,
) (creds appclient.Credentials, fresh bool, err error) {
	v.mu.Lock()
	last, ok := v.known[app.Name]
	if cached, isCached := v.source.Cached(app, now); isCached {
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
	r := v.readings[app.Name]
	underWay := r != nil && r.ref == app.Spec.SecretRef
	if !underWay {
		r = v.read(ctx, app, now, ok)
	}
	v.mu.Unlock()
	if ok && underWay && !patient {
		return last.Credentials, false, nil
	}
	select {
	case <-r.ended:
		return r.creds, r.fresh, r.err
	case <-ctx.Done():
		return creds, false, ctx.Err()
	}
}

// read begins to read an app's secrets. It goes on when the webhook that began it has ended: others may wait for it. v.mu is held.
func (v *verifier) read(ctx context.Context, app *v1alpha1.TiktokApp, now time.Time, known bool) *reading {
	r := &reading{ref: app.Spec.SecretRef, ended: make(chan struct{})}
	v.readings[app.Name] = r
	limit := firstCredentialsTimeout
	if known {
		limit = credentialsTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	go func() {
		defer cancel()
		defer close(r.ended)
		creds, err := v.source.Credentials(ctx, app)
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.readings[app.Name] == r {
			delete(v.readings, app.Name)
		}
		r.creds, r.fresh, r.err = v.heard(app.Name, r.ref, creds, err, now)
	}()
	return r
}

// heard notes the answer to a reading, and says what to go by. v.mu is held.
func (v *verifier) heard(
	app string, ref v1alpha1.AppSecretReference, creds appclient.Credentials, err error, now time.Time,
) (goBy appclient.Credentials, fresh bool, _ error) {
	last, ok := v.known[app]
	var missing *appclient.MissingError
	switch {
	case err == nil:
		v.known[app] = known{Credentials: creds, ref: ref}
		return creds, true, nil
	case errors.As(err, &missing), apierrors.IsForbidden(err), apierrors.IsUnauthorized(err): // it was answered
		delete(v.known, app)
		return creds, false, err
	case !ok || last.ref != ref:
		return creds, false, err
	default:
		last.askAt = now.Add(rereadInterval)
		v.known[app] = last
		return last.Credentials, false, nil
	}
}

// forget has the next webhook read an app's secrets anew. A reading that is under way may have begun too early to hear of a change.
func (v *verifier) forget(app string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.source.Forget(app)
	delete(v.readings, app)
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
