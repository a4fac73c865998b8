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
	return appendStatus(ctx, s.opts.Log, j.Channel, cloudevent.StatusEvent{Time: at.UTC(), Data: data}, s.opts.Clock.Now())
}

// appender is an event log.
type appender interface {
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// appendStatus stores an event under an id that is the same for the same news. A message may fail more than once.
func appendStatus(ctx context.Context, log appender, ch *v1alpha1.TiktokChannel, e cloudevent.StatusEvent, now time.Time) error {
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
		Event: cloudevent.TypeMessageStatus, ReceivedAt: now, Body: body, Own: true,
	})
	if err != nil {
		return fmt.Errorf("storing the status of a message: %w", err)
	}
	return nil
}

// settled stores what became of a call, and tells it if there is a status. It waits for that, but not for long: TikTok's answer is known, and
// what cannot be stored now is tried for a while. Should the process end meanwhile, the next request with the key finds out anew.
func (s *Sender) settled(ctx context.Context, j *job, businessID string, status cloudevent.Status, refusal *TikTokRefusal) {
	at := s.opts.Clock.Now()
	work := func(ctx context.Context) error {
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
	err := work(ctx)
	if err == nil {
		if status == cloudevent.StatusSent {
			s.pending.Go(func() { s.overtaken(ctx, j.Channel, j.ConversationID) })
		}
		return
	}
	s.opts.Logger.Error(err, "what became of a message could not be stored; trying again", "namespace", j.Channel.Namespace,
		"channel", j.Channel.Name, "sendID", j.SendID, "stage", j.Stage)
	copied, remembered := *j, *j.attempt
	copied.attempt = &remembered
	j = &copied
	s.pending.Go(func() {
		backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Cap: 5 * time.Second, Steps: 30}
		_ = wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
			if s.opts.Clock.Since(at) > storeTimeout {
				return false, context.DeadlineExceeded
			}
			return work(ctx) == nil, nil
		})
	})
}

// overtaken tells what TikTok's webhooks said of a message before the answer to sending it was stored.
func (s *Sender) overtaken(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) {
	state, _, err := s.opts.States.State(ctx, ch, conversationID)
	if err == nil {
		err = tellAll(ctx, s.opts.Log, ch, state, s.opts.Clock)
	}
	if err != nil { // the next webhook of the conversation tells it
		s.opts.Logger.V(1).Info("the status of a message is told later", "namespace", ch.Namespace, "channel", ch.Name, "reason", err.Error())
	}
}
