package outbound

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// tell stores the event that a message has a status. Storing it again does nothing.
func (s *Sender) tell(
	ctx context.Context, j *job, businessID string, status cloudevent.Status, at time.Time, refusal *TikTokRefusal,
) error {
	accepted, content := j.AcceptedAt.UTC(), j.Summary
	data := cloudevent.StatusData{
		BusinessID: businessID, ConversationID: j.ConversationID, SendID: j.SendID, MessageID: j.MessageID, Status: status,
		IdempotencyKey: j.IdempotencyKey, AcceptedAt: &accepted, Content: &content,
	}
	if refusal != nil {
		data.Code, data.Explanation = refusal.Code, refusal.Explanation
	}
	return appendStatus(ctx, s.opts.Log, j.Channel, cloudevent.StatusEvent{Time: at.UTC(), Data: data}, j.Trace, s.opts.Clock.Now())
}

// appender is an event log.
type appender interface {
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// appendStatus stores an event under an id that is the same for the same news. A message may fail more than once.
func appendStatus(
	ctx context.Context, log appender, ch *v1alpha1.TiktokChannel, e cloudevent.StatusEvent, trace tracecontext.Context, now time.Time,
) error {
	body, err := e.Body()
	if err != nil {
		return err
	}
	occasion := ""
	if e.Data.Status == cloudevent.StatusFailed {
		occasion = strconv.FormatInt(e.Time.UnixNano(), 10)
	}
	_, err = log.Append(ctx, eventlog.Record{
		ID:  "evt_" + digest("status", string(ch.UID), e.Data.ConversationID, e.Data.SendID, e.Data.MessageID, string(e.Data.Status), occasion),
		App: ch.Spec.AppRef.Name, BusinessID: e.Data.BusinessID, ChannelUID: string(ch.UID), Conversation: e.Data.ConversationID,
		Event: cloudevent.TypeMessageStatus, ReceivedAt: now, Body: body, Own: true, Trace: trace,
	})
	if err != nil {
		return fmt.Errorf("storing the status of a message: %w", err)
	}
	return nil
}

// settled stores what became of a call, and tells it if there is a status. Of a message that TikTok has, nobody waits for that: should the
// process end meanwhile, the next request with the key finds out anew. What cannot be stored is tried for a while.
func (s *Sender) settled(ctx context.Context, j *job, businessID string, status cloudevent.Status, refusal *TikTokRefusal) {
	remembered := *j.attempt
	of := &job{Request: j.Request, attempt: &remembered, id: j.id, revision: j.revision, announced: j.announced}
	at, first := s.opts.Clock.Now(), make(chan struct{})
	stored := s.unstored.add(conversationKey(j.Channel, j.ConversationID))
	s.pending.Go(func() {
		if of.announced != nil {
			<-of.announced // so that the statuses are told in their order
		}
		err := s.settleOnce(ctx, of, businessID, status, at, refusal)
		stored()
		close(first)
		if err != nil {
			s.settleLater(ctx, of, err, func(ctx context.Context) error { return s.settleOnce(ctx, of, businessID, status, at, refusal) }, at)
		}
		if status == cloudevent.StatusSent {
			s.overtaken(ctx, of.Channel, of.ConversationID)
		}
	})
	if j.Stage != sent {
		<-first
		j.revision = of.revision
	}
}

func (s *Sender) settleOnce(
	ctx context.Context, j *job, businessID string, status cloudevent.Status, at time.Time, refusal *TikTokRefusal,
) error {
	var both errgroup.Group
	both.Go(func() error {
		if err := s.save(ctx, j); !errors.Is(err, eventlog.ErrSendChanged) {
			return err
		}
		return nil // another request has found out the same
	})
	if status != "" {
		both.Go(func() error { return s.tell(ctx, j, businessID, status, at, refusal) })
	}
	return both.Wait()
}

func (s *Sender) settleLater(ctx context.Context, j *job, err error, work func(context.Context) error, since time.Time) {
	log := s.opts.Logger.WithValues("namespace", j.Channel.Namespace, "channel", j.Channel.Name, "sendID", j.SendID, "stage", j.Stage)
	log.Error(err, "what became of a message could not be stored; trying again")
	backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Cap: 5 * time.Second, Steps: 30}
	err = wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		if s.opts.Clock.Since(since) > storeTimeout {
			return false, context.DeadlineExceeded
		}
		return work(ctx) == nil, nil
	})
	if err != nil {
		log.Error(err, "what became of a message is not stored; a request with its idempotency key, or TikTok's webhook, finds it out anew")
	}
}

// overtaken tells what TikTok's webhooks said of a message before the answer to sending it was stored. The state is read anew after that, so
// that it is there for the next message.
func (s *Sender) overtaken(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) {
	state, _, err := s.opts.States.State(ctx, ch, conversationID)
	if err == nil {
		err = tellAll(ctx, s.opts.Log, ch, state, s.opts.Clock)
	}
	if err == nil {
		state, _, err = s.opts.States.State(ctx, ch, conversationID)
		_ = state.Known()
	}
	if err != nil { // the next webhook of the conversation tells it
		s.opts.Logger.V(1).Info("the status of a message is told later", "namespace", ch.Namespace, "channel", ch.Name, "reason", err.Error())
	}
}
