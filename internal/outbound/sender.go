package outbound

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// Log remembers messages, and takes the events about them. *eventlog.Log is one.
type Log interface {
	LoadSend(ctx context.Context, id string) (value []byte, revision uint64, err error)
	SaveSend(ctx context.Context, id string, value []byte, revision uint64) (next uint64, err error)
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// States reads conversations. *projection.Projection is one.
type States interface {
	State(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) (state conversation.State, known bool, err error)
}

// Sessions give what calls for a channel need. *business.Sessions is one.
type Sessions interface {
	Session(ctx context.Context, ch *v1alpha1.TiktokChannel) (*business.Session, error)
	Forget(channelUID string)
}

// Apps have the rate limits. *appclient.Pool is one.
type Apps interface {
	Limiter(app *v1alpha1.TiktokApp) *tiktok.Limiter
	Throttled(app *v1alpha1.TiktokApp, err error) time.Duration
}

// Capabilities say whether images may be sent into a conversation; answered: the business has sent in it before. *capability.Cache is one.
type Capabilities interface {
	Images(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string, answered bool) messaging.Capability
}

// Refresher asks the manager for a new token.
type Refresher interface {
	RequestRefresh(ctx context.Context, ch *v1alpha1.TiktokChannel) error
}

// Options of a Sender. Log, States, Sessions, Apps, Images and Refresher are required.
type Options struct {
	Log       Log
	States    States
	Sessions  Sessions
	Apps      Apps
	Images    Capabilities
	Refresher Refresher
	// Policy where TikTok's rules are doubtful; "" means messaging.Lenient.
	Policy messaging.Policy
	// Clock; nil means the real one.
	Clock clock.Clock
	// Metrics; nil means that nobody reads them.
	Metrics *Metrics
	Logger  logr.Logger
}

// Sender sends. It is safe for concurrent use.
type Sender struct {
	opts    Options
	turns   *turns
	metrics *Metrics
	// renewals of tokens, by channel.
	renewals singleflight.Group
	// pending is what TikTok answered and is not stored yet.
	pending  sync.WaitGroup
	unstored *unstored
}

// New makes a Sender.
func New(opts Options) (*Sender, error) {
	if opts.Log == nil || opts.States == nil || opts.Sessions == nil || opts.Apps == nil || opts.Images == nil || opts.Refresher == nil {
		return nil, errors.New("sending needs a Log, States, Sessions, Apps, Images and a Refresher")
	}
	if opts.Policy == "" {
		opts.Policy = messaging.Lenient
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	if opts.Metrics == nil {
		var err error
		if opts.Metrics, err = NewMetrics(nil); err != nil {
			return nil, err
		}
	}
	return &Sender{opts: opts, turns: newTurns(), metrics: opts.Metrics, unstored: newUnstored()}, nil
}

// Start implements manager.Runnable: it keeps the process until what TikTok answered is stored.
func (s *Sender) Start(ctx context.Context) error {
	<-ctx.Done()
	s.pending.Wait()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica sends.
func (*Sender) NeedLeaderElection() bool { return false }

// Request is a message to send.
type Request struct {
	Channel        *v1alpha1.TiktokChannel
	ConversationID string
	Message        messaging.Message
	// Image is the file of the message's image, which messaging.InspectImage has passed; nil if it has none.
	Image []byte
	// IdempotencyKey of the application; "" if it gave none: then a repeated request is another message.
	IdempotencyKey string
	// Trace is where the application's request is in its trace. The statuses that the request leads to are told there; optional.
	Trace tracecontext.Context
}

// Sent is a message that TikTok has.
type Sent struct {
	SendID, MessageID string
	AcceptedAt        time.Time
	Summary           cloudevent.ContentSummary
	// Replayed: an earlier request sent it.
	Replayed bool
}

// job is a request while it is dealt with.
type job struct {
	Request
	*attempt
	// id under which it is remembered, and the revision of what is.
	id       string
	revision uint64
	// announced is closed once it is told that the message is accepted; nil if that is not being told.
	announced <-chan struct{}
	// state of the conversation, which is read while an earlier request is looked for.
	state func() (conversation.State, error)
}

// Send sends a message, or says what became of it if the same was asked for before. Errors: *messaging.Refusal, *TikTokRefusal, *NotSentError,
// *KeyReusedError, *InProgressError, *UnknownOutcomeError, *business.NotAuthorizedError; any other says that nothing was sent since something
// in the cluster could not be asked.
func (s *Sender) Send(ctx context.Context, r Request) (*Sent, error) {
	sent, err := s.dispatch(ctx, r)
	s.metrics.count(r.Channel.Spec.AppRef.Name, sent, err)
	return sent, err
}

func (s *Sender) dispatch(ctx context.Context, r Request) (*Sent, error) {
	wanted, err := request(r.ConversationID, r.Message, r.Image)
	if err != nil {
		return nil, err
	}
	key := r.IdempotencyKey
	if key == "" {
		key = "none " + rand.Text()
	} else {
		key = "key " + key
	}
	uid := string(r.Channel.UID)
	j := &job{Request: r, id: uid + "/" + key}
	fresh := attempt{SendID: "snd_" + digest(uid, key), Request: wanted, Summary: summarize(r.Message)}
	for begun := s.opts.Clock.Now(); ; {
		j.state = s.readAhead(ctx, r)
		if err := s.load(ctx, j); err != nil {
			return nil, err
		}
		now := s.opts.Clock.Now()
		switch decide(j.attempt, wanted, now) {
		case stepReject:
			return nil, &KeyReusedError{}
		case stepAnswer:
			return j.answer(true)
		case stepWait:
			if now.Sub(begun) >= otherWait {
				return nil, &InProgressError{RetryAfter: 5 * time.Second}
			}
			if err := s.sleep(ctx, otherPoll); err != nil {
				return nil, err
			}
			continue
		case stepSettle:
			if sent, err := s.settle(ctx, j); sent != nil || err != nil {
				return sent, ignoreChanged(err)
			}
		case stepSend:
			if j.attempt == nil {
				fresh.AcceptedAt = now
				again := fresh
				j.attempt = &again
			}
			if sent, err := s.send(ctx, j); !errors.Is(err, eventlog.ErrSendChanged) {
				return sent, err
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// readAhead reads the state of the conversation meanwhile.
func (s *Sender) readAhead(ctx context.Context, r Request) func() (conversation.State, error) {
	var state conversation.State
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if state, _, err = s.opts.States.State(ctx, r.Channel, r.ConversationID); err == nil {
			state.Messages() // worked out once
		}
	}()
	return func() (conversation.State, error) {
		<-done
		return state, err
	}
}

// ignoreChanged turns the news that another request has settled a message into another round.
func ignoreChanged(err error) error {
	if errors.Is(err, eventlog.ErrSendChanged) {
		return nil
	}
	return err
}

func (s *Sender) load(ctx context.Context, j *job) error {
	j.attempt, j.revision = nil, 0
	if j.IdempotencyKey == "" {
		return nil
	}
	value, revision, err := s.opts.Log.LoadSend(ctx, j.id)
	if err != nil {
		return fmt.Errorf("looking for an earlier request: %w", err)
	}
	j.attempt, err = decodeAttempt(value)
	j.revision = revision
	return err
}

// answer is what became of a message that is settled.
func (j *job) answer(replayed bool) (*Sent, error) {
	if j.Stage == refused {
		return nil, j.Refusal
	}
	return &Sent{SendID: j.SendID, MessageID: j.MessageID, AcceptedAt: j.AcceptedAt, Summary: j.Summary, Replayed: replayed}, nil
}

func (s *Sender) sleep(ctx context.Context, d time.Duration) error {
	timer := s.opts.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
