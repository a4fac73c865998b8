// Package appclient makes TikTok clients for TiktokApps: it reads the app secret, and shares one rate limiter among all clients of an app id.
//
// It never caches a Secret longer than Options.CacheFor, and never lists Secrets.
package appclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Credentials are an app's secrets.
type Credentials struct {
	// Current authenticates the app and signs its webhooks.
	Current tiktok.Secret
	// Previous still verifies webhooks during a rotation; "" if there is none.
	Previous tiktok.Secret
}

// Secrets are the secrets that may have signed a webhook, current first.
func (c Credentials) Secrets() []tiktok.Secret {
	if c.Previous == "" {
		return []tiktok.Secret{c.Current}
	}
	return []tiktok.Secret{c.Current, c.Previous}
}

// MissingError says that an app's Secret, or its key, is not there, as far as the operator may see. Its text is a sentence for a condition.
type MissingError struct {
	Namespace, Name, Key string
	// SecretExists tells a missing key from a missing Secret.
	SecretExists bool
	// Forbidden: the operator may not read Secrets there, and cannot tell whether it exists.
	Forbidden bool
}

// Error implements error.
func (e *MissingError) Error() string {
	if e.Forbidden {
		return fmt.Sprintf("The operator may not read the Secret %s/%s: put it into the operator's namespace or one that it serves (watchNamespaces), "+
			"or give its ServiceAccounts a Role there.", e.Namespace, e.Name)
	}
	if e.SecretExists {
		return fmt.Sprintf("The Secret %s/%s has no key %q, or it is empty: put the app secret there.", e.Namespace, e.Name, e.Key)
	}
	return fmt.Sprintf("The Secret %s/%s does not exist: create it with the app secret under the key %q.", e.Namespace, e.Name, e.Key)
}

// Options of a Pool.
type Options struct {
	// Reader reads Secrets from the API server, uncached.
	Reader client.Reader
	// HTTPClient calls TikTok; nil means tiktok.NewHTTPClient().
	HTTPClient *http.Client
	// DialDownload is asked about every address that a download of media dials, as tiktok.Config says; nil allows the API's own host only.
	DialDownload func(network, address string, conn syscall.RawConn) error
	// Clock defaults to the real one.
	Clock clock.Clock
	// CacheFor is how long credentials are reused; zero reads them each time.
	CacheFor time.Duration
	// Observe is told of every call to TikTok, with the TiktokApp's name.
	Observe func(app string, o tiktok.Observation)
}

// Pool makes clients. It is safe for concurrent use.
type Pool struct {
	opts Options

	mu       sync.Mutex
	limiters map[string]*tiktok.Limiter // by app id
	cached   map[string]cachedCredentials
}

type cachedCredentials struct {
	Credentials
	ref   v1alpha1.AppSecretReference
	until time.Time
}

// New returns a Pool.
func New(opts Options) *Pool {
	if opts.HTTPClient == nil {
		opts.HTTPClient = tiktok.NewHTTPClient()
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Pool{opts: opts, limiters: map[string]*tiktok.Limiter{}, cached: map[string]cachedCredentials{}}
}

// Credentials reads an app's secrets. A Secret or key that is missing, or that may not be read, is a *MissingError; any other error means that
// the API server could not be asked.
func (p *Pool) Credentials(ctx context.Context, app *v1alpha1.TiktokApp) (Credentials, error) {
	now := p.opts.Clock.Now()
	if creds, ok := p.Cached(app, now); ok {
		return creds, nil
	}
	ref := app.Spec.SecretRef
	missing := &MissingError{Namespace: ref.Namespace, Name: ref.Name, Key: app.SecretKey()}
	var secret corev1.Secret
	err := p.opts.Reader.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, &secret)
	switch missing.Forbidden = apierrors.IsForbidden(err); {
	case apierrors.IsNotFound(err), missing.Forbidden:
		return Credentials{}, missing
	case err != nil:
		return Credentials{}, fmt.Errorf("reading the app secret from Secret %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	creds := Credentials{
		Current:  tiktok.Secret(strings.TrimSpace(string(secret.Data[app.SecretKey()]))),
		Previous: tiktok.Secret(strings.TrimSpace(string(secret.Data[v1alpha1.PreviousAppSecretKey]))),
	}
	if creds.Current == "" {
		missing.SecretExists = true
		return Credentials{}, missing
	}
	if p.opts.CacheFor > 0 {
		p.mu.Lock()
		p.cached[app.Name] = cachedCredentials{Credentials: creds, ref: ref, until: now.Add(p.opts.CacheFor)}
		p.mu.Unlock()
	}
	return creds, nil
}

// Cached returns an app's credentials if they were read a short while before now, which costs nothing.
func (p *Pool) Cached(app *v1alpha1.TiktokApp, now time.Time) (Credentials, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.cached[app.Name]
	return c.Credentials, ok && c.ref == app.Spec.SecretRef && now.Before(c.until)
}

// Forget drops what is cached of an app's credentials.
func (p *Pool) Forget(app string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.cached, app)
}

// Client returns a client of the app with its current secret, rate limiter and endpoints. Errors are those of Credentials, or say that the
// endpoints cannot be used.
func (p *Pool) Client(ctx context.Context, app *v1alpha1.TiktokApp) (*tiktok.Client, error) {
	creds, err := p.Credentials(ctx, app)
	if err != nil {
		return nil, err
	}
	c, err := tiktok.NewClient(tiktok.Config{
		AppID: app.Spec.AppID, AppSecret: creds.Current,
		APIEndpoint: app.APIEndpoint(), AuthorizeEndpoint: app.AuthorizeEndpoint(),
		HTTPClient: p.opts.HTTPClient, DialDownload: p.opts.DialDownload, Limiter: p.Limiter(app), Clock: p.opts.Clock,
		Observe: func(o tiktok.Observation) {
			if p.opts.Observe != nil {
				p.opts.Observe(app.Name, o)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making a TikTok client for TiktokApp %s: %w", app.Name, err)
	}
	return c, nil
}

// Limiter returns the rate limiter of the app's id, set to the app's rate.
func (p *Pool) Limiter(app *v1alpha1.TiktokApp) *tiktok.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.limiters[app.Spec.AppID]
	if l == nil {
		l = tiktok.NewLimiter(app.RequestsPerSecond(), p.opts.Clock)
		p.limiters[app.Spec.AppID] = l
		return l
	}
	l.SetRate(app.RequestsPerSecond())
	return l
}

// Throttled pauses all calls of the app's id if an error says that there were too many, for as long as TikTok asks. It returns that time;
// zero for any other error.
func (p *Pool) Throttled(app *v1alpha1.TiktokApp, err error) time.Duration {
	var e *tiktok.Error
	if tiktok.ClassOf(err) != tiktok.ClassRateLimited || !errors.As(err, &e) {
		return 0
	}
	p.Limiter(app).Pause(p.opts.Clock.Now().Add(e.RetryAfter))
	return e.RetryAfter
}
