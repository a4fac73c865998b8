// Package capability remembers what TikTok allows in a conversation: whether images may be sent. TikTok is asked once in a while, and what it
// does not say is not known, which is no error.
package capability

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	// keepKnown and keepUnknown are how long an answer is believed, and none.
	keepKnown, keepUnknown = time.Hour, 5 * time.Minute
	// keepAtMost is how many conversations are remembered.
	keepAtMost = 10_000
	// askTimeout bounds one question, with the wait for its turn.
	askTimeout = 10 * time.Second
)

// Sessions give what calls for a channel need. *business.Sessions is one.
type Sessions interface {
	Session(ctx context.Context, ch *v1alpha1.TiktokChannel) (*business.Session, error)
}

// Throttle is told of TikTok's errors, some of which say that there were too many requests. *appclient.Pool is one.
type Throttle interface {
	Throttled(app *v1alpha1.TiktokApp, err error) time.Duration
}

// Cache remembers the answers. It is safe for concurrent use.
type Cache struct {
	sessions Sessions
	throttle Throttle
	answers  *cache.LRUExpireCache // messaging.Capability by channel and conversation
}

// New makes a Cache; a nil clock is the real one.
func New(sessions Sessions, throttle Throttle, c clock.Clock) *Cache {
	if c == nil {
		c = clock.RealClock{}
	}
	return &Cache{sessions: sessions, throttle: throttle, answers: cache.NewLRUExpireCacheWithClock(keepAtMost, c)}
}

type key struct{ channelUID, conversation string }

// Images says whether images may be sent into a conversation. answered says that the business has sent in it before, which moves a conversation
// from one of TikTok's lists to the other.
func (c *Cache) Images(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string, answered bool) messaging.Capability {
	k := key{string(ch.UID), conversationID}
	if known, ok := c.answers.Get(k); ok {
		return known.(messaging.Capability)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	session, err := c.sessions.Session(ctx, ch)
	if err != nil {
		return messaging.CapabilityUnknown // soon told by whatever else needs a session
	}
	kind := tiktok.ConversationStranger
	if answered {
		kind = tiktok.ConversationSingle
	}
	answer, err := session.Client.ImageCapability(ctx, session.AccessToken, session.BusinessID, conversationID, kind)
	c.throttle.Throttled(session.App, err)
	if ctx.Err() != nil {
		return messaging.CapabilityUnknown
	}
	got, keep := messaging.CapabilityUnknown, keepUnknown
	switch answer {
	case tiktok.CapabilityYes:
		got, keep = messaging.CapabilityYes, keepKnown
	case tiktok.CapabilityNo:
		got, keep = messaging.CapabilityNo, keepKnown
	}
	c.answers.Add(k, got, keep)
	return got
}
