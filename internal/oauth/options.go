package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// Apps makes TikTok clients. *appclient.Pool is one.
type Apps interface {
	// Client returns an *appclient.MissingError if the app's secret is not there; any other error means that it could not be read.
	Client(ctx context.Context, app *v1alpha1.TiktokApp) (*tiktok.Client, error)
}

// TokenStore keeps tokens. *tokenstore.Store is one.
type TokenStore interface {
	Epoch(ctx context.Context, ch *v1alpha1.TiktokChannel) (int64, error)
	GetLive(ctx context.Context, ch *v1alpha1.TiktokChannel) (*tokenstore.Snapshot, error)
	Authorize(ctx context.Context, ch *v1alpha1.TiktokChannel, t token.Tokens, epoch int64) error
}

// Reservations keeps a business to one channel. *reservation.Reservations is one.
type Reservations interface {
	Hold(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error
	Release(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error
	Holder(ctx context.Context, businessID string) (types.NamespacedName, types.UID, bool, error)
}

// Uses remembers what may be used once. With more than one replica it must be shared: *eventlog.Log is such a one, MemoryUses is not.
type Uses interface {
	// UseOnce says whether id is used for the first time. It is remembered until then at least. After an error it may count as used.
	UseOnce(ctx context.Context, id string, until time.Time) (first bool, err error)
}

// Options of a Handler. All are required but Clock, Log, Recorder, Observe and AnswerWithin.
type Options struct {
	// Reader reads channels, apps and the key Secret from the API server, uncached: a link may be opened the moment it appears.
	Reader client.Reader
	// Namespace is the operator's own, where the key Secret is.
	Namespace string
	// Apps makes TikTok clients.
	Apps Apps
	// Allowed says whether channels of a namespace may use an app. An error means that this could not be found out.
	Allowed func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error)
	// Tokens stores tokens.
	Tokens TokenStore
	// Reservations keeps a business to one channel.
	Reservations Reservations
	// Uses makes a state good for one use.
	Uses Uses
	// Recorder tells of refused authorizations in events on the channel. Default: none.
	Recorder events.EventRecorder
	// Observe is told what came of each start and of each callback, for a metric. Default: nobody.
	Observe func(Result)
	// Clock defaults to the real one.
	Clock clock.Clock
	// Log defaults to none.
	Log logr.Logger
	// AnswerWithin bounds a callback, from its arrival to its page; in it, storing the tokens is tried again for as long as the API server is
	// away. It must be 15s below the server's write timeout, for giving up what failed. Default: 45s.
	AnswerWithin time.Duration
}

const (
	defaultAnswerWithin = 45 * time.Second
	// lookupTimeout bounds what is asked of the API server before TikTok is.
	lookupTimeout = 10 * time.Second
	// exchangeTimeout bounds the exchange of the code, and what else must be asked to know whose tokens they are.
	exchangeTimeout = 15 * time.Second
	// profileTimeout bounds the reading of the profile, which only gives the page a name.
	profileTimeout = 5 * time.Second
	// cleanupTimeout bounds each of the two steps that may follow AnswerWithin: looking whether a write got through, and giving up what a failed
	// authorization took.
	cleanupTimeout = 5 * time.Second
)

func (o *Options) complete() error {
	if o.Reader == nil || o.Namespace == "" || o.Apps == nil || o.Allowed == nil || o.Tokens == nil || o.Reservations == nil || o.Uses == nil {
		return errors.New("the OAuth handler needs Reader, Namespace, Apps, Allowed, Tokens, Reservations and Uses")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.AnswerWithin == 0 {
		o.AnswerWithin = defaultAnswerWithin
	}
	return nil
}

// keySecret names the Secret of the keys.
func (o *Options) keySecret() types.NamespacedName {
	return types.NamespacedName{Namespace: o.Namespace, Name: tickets.SecretName}
}
