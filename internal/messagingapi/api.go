package messagingapi

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

// Subresource of tiktokchannels that callers must be allowed to get, list (read) and create (send).
const Subresource = "messages"

// The path of a channel, and that of a conversation. A conversation's id is percent-encoded: it may hold + / and =.
const (
	channelPath      = "/v1/namespaces/{namespace}/channels/{name}"
	conversationPath = channelPath + "/conversations/{conversation}"
)

// States reads conversations. *projection.Projection is one.
type States interface {
	State(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) (state conversation.State, known bool, err error)
}

// Options of an API.
type Options struct {
	// Reader reads channels and apps from the cache.
	Reader client.Reader
	States States
	Sender Sender
	// Reading is what ReadRoutes need; nil means that there are none.
	Reading *Reading
	// Clock; nil means the real one.
	Clock  clock.Clock
	Logger logr.Logger
}

// API serves the Routes.
type API struct {
	opts     Options
	endpoint channelapi.Endpoint
	// downloads and forms are under way.
	downloads, forms *slots
}

// New makes an API. The error says which option is missing.
func New(opts Options) (*API, error) {
	if opts.Reader == nil || opts.States == nil || opts.Sender == nil {
		return nil, errors.New("the messaging API needs a Reader, States and a Sender")
	}
	if opts.Reading != nil {
		if err := opts.Reading.validate(); err != nil {
			return nil, err
		}
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	return &API{
		opts: opts, endpoint: channelapi.Endpoint{Reader: opts.Reader, Logger: opts.Logger},
		downloads: newSlots(maxDownloads, maxDownloadsOfOne), forms: newSlots(maxForms, maxFormsOfOne),
	}, nil
}
