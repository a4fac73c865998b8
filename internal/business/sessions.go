// Package business gives what calls to TikTok for one business need: the app's client, the channel's access token, and TikTok's id of the
// business. It stores nothing and refreshes nothing.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
package business

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	// keepFor is how long a token is used without reading its Secret again. A refresh leaves the old token good, and one that TikTok refuses is
	// forgotten (Forget).
	keepFor = 10 * time.Second
	// keepAtMost is how many tokens are kept.
	keepAtMost = 10_000
)

// Apps makes clients of TikTok. *appclient.Pool is one.
type Apps interface {
	Client(ctx context.Context, app *v1alpha1.TiktokApp) (*tiktok.Client, error)
}

// Tokens reads token Secrets. *tokenstore.Store is one.
type Tokens interface {
	GetLive(ctx context.Context, ch *v1alpha1.TiktokChannel) (*tokenstore.Snapshot, error)
}

// Options of Sessions. All but the Clock are required.
type Options struct {
	// Reader reads apps from the cache.
	Reader client.Reader
	Apps   Apps
	Tokens Tokens
	// Allowed says whether an app may be used by channels of a namespace.
	Allowed func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error)
	// Clock; nil means the real one.
	Clock clock.Clock
}

// Session is what calls for a channel need. A session is good for a few calls, not to be kept.
type Session struct {
	App         *v1alpha1.TiktokApp
	Client      *tiktok.Client
	AccessToken tiktok.Secret
	// BusinessID is TikTok's.
	BusinessID string
}

// NotAuthorizedError says that there is no access token which could be used. Its text is a sentence that says why and what to do.
type NotAuthorizedError struct{ Reason string }

// Error implements error.
func (e *NotAuthorizedError) Error() string { return e.Reason }

// Sessions makes them. It is safe for concurrent use.
type Sessions struct {
	opts   Options
	tokens *cache.LRUExpireCache // token by channel UID
}

// accessToken is what is kept of a Secret.
type accessToken struct {
	secret   tiktok.Secret
	business string
	expires  time.Time
}

// New returns Sessions.
func New(opts Options) (*Sessions, error) {
	if opts.Reader == nil || opts.Apps == nil || opts.Tokens == nil || opts.Allowed == nil {
		return nil, errors.New("sessions need a Reader, Apps, Tokens, and to know who may use an app")
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Sessions{opts: opts, tokens: cache.NewLRUExpireCacheWithClock(keepAtMost, opts.Clock)}, nil
}

// Session makes a session of a channel. The error is a *NotAuthorizedError if the channel has no token that could be used; else something in the
// cluster could not be read.
func (s *Sessions) Session(ctx context.Context, ch *v1alpha1.TiktokChannel) (*Session, error) {
	app := &v1alpha1.TiktokApp{}
	if err := s.opts.Reader.Get(ctx, types.NamespacedName{Name: ch.Spec.AppRef.Name}, app); apierrors.IsNotFound(err) {
		return nil, notAuthorized("The TiktokApp %s of the channel does not exist. Create it, or name another in a new channel.", ch.Spec.AppRef.Name)
	} else if err != nil {
		return nil, fmt.Errorf("reading the TiktokApp: %w", err)
	}
	switch allowed, err := s.opts.Allowed(ctx, app, ch.Namespace); {
	case err != nil:
		return nil, err
	case !allowed:
		return nil, notAuthorized("The TiktokApp %s may not be used by channels of namespace %s (spec.allowedNamespaces).", app.Name, ch.Namespace)
	}
	token, err := s.token(ctx, ch)
	if err != nil {
		return nil, err
	}
	tiktokClient, err := s.opts.Apps.Client(ctx, app)
	if err != nil {
		return nil, err
	}
	return &Session{App: app, Client: tiktokClient, AccessToken: token.secret, BusinessID: token.business}, nil
}

// Forget has the channel's token read anew: TikTok refused it.
func (s *Sessions) Forget(channelUID string) { s.tokens.Remove(channelUID) }

func (s *Sessions) token(ctx context.Context, ch *v1alpha1.TiktokChannel) (accessToken, error) {
	now := s.opts.Clock.Now()
	if kept, ok := s.tokens.Get(string(ch.UID)); ok {
		if t := kept.(accessToken); t.business == ch.Status.BusinessID && t.good(now) {
			return t, nil
		}
	}
	const todo = "Open the channel's authorization link as the business."
	snap, err := s.opts.Tokens.GetLive(ctx, ch)
	var notOwned *tokenstore.NotOwnedError
	switch {
	case errors.As(err, &notOwned):
		return accessToken{}, notAuthorized("%s", notOwned.Error())
	case err != nil:
		return accessToken{}, fmt.Errorf("reading the channel's token: %w", err)
	case snap == nil || snap.Tokens.AccessToken == "":
		return accessToken{}, notAuthorized("The channel has no access token. " + todo)
	case ch.Status.BusinessID == "" || (snap.Tokens.BusinessID != "" && snap.Tokens.BusinessID != ch.Status.BusinessID):
		return accessToken{}, notAuthorized("The channel's tokens are not confirmed to be of its business yet. Try again in a moment.")
	}
	t := accessToken{snap.Tokens.AccessToken, ch.Status.BusinessID, snap.Tokens.AccessTokenExpiresAt}
	if !t.good(now) {
		return accessToken{}, notAuthorized("The channel's access token has expired and could not be refreshed. See the channel's conditions.")
	}
	s.tokens.Add(string(ch.UID), t, keepFor)
	return t, nil
}

func (t accessToken) good(now time.Time) bool { return t.expires.IsZero() || now.Before(t.expires) }

func notAuthorized(format string, args ...any) error {
	return &NotAuthorizedError{Reason: fmt.Sprintf(format, args...)}
}
