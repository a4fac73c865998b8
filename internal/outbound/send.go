package outbound

import (
	"context"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// send sends a message that nobody is at.
func (s *Sender) send(ctx context.Context, j *job) (*Sent, error) {
	verdict, err := s.allowed(ctx, j)
	if err != nil {
		return nil, err
	}
	session, err := s.opts.Sessions.Session(ctx, j.Channel)
	if err != nil {
		return nil, err
	}
	mediaID := ""
	if j.Image != nil {
		if mediaID, err = s.upload(ctx, j, session); err != nil {
			return nil, err
		}
	}
	if err := s.turn(ctx, j.Channel, session.App); err != nil {
		return nil, err
	}
	if err := s.claim(ctx, j); err != nil {
		return nil, err
	}
	// From here on it does not matter whether the caller still waits.
	ctx = context.WithoutCancel(ctx)
	s.announce(ctx, j, session.BusinessID)
	messageID, result := s.call(ctx, j, session, mediaID)
	return s.conclude(ctx, j, session, messageID, result, verdict.Doubts)
}

// allowed says whether the rules let the message go. The error is a *messaging.Refusal, or the state could not be read.
func (s *Sender) allowed(ctx context.Context, j *job) (messaging.Verdict, error) {
	state, err := j.state()
	if err != nil {
		return messaging.Verdict{}, err
	}
	known := state.Known()
	known.Channel = channelState(j.Channel)
	verdict := messaging.Decide(s.opts.Policy, j.Message, known, s.opts.Clock.Now())
	if verdict.Allowed() && (j.Image != nil || j.Message.ImageMediaID != "") {
		known.Images = s.opts.Images.Images(ctx, j.Channel, j.ConversationID, state.Answered())
		verdict = messaging.Decide(s.opts.Policy, j.Message, known, s.opts.Clock.Now())
	}
	if !verdict.Allowed() {
		return verdict, verdict.Refusal
	}
	return verdict, nil
}

func channelState(ch *v1alpha1.TiktokChannel) messaging.Channel {
	switch {
	case ch.Spec.Suspend:
		return messaging.ChannelSuspended
	case ch.Status.BusinessID == "", apimeta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.ReauthorizationRequiredCondition):
		return messaging.ChannelNotAuthorized
	default:
		return messaging.ChannelReady
	}
}

// turn waits for a permit to call TikTok.
func (s *Sender) turn(ctx context.Context, ch *v1alpha1.TiktokChannel, app *v1alpha1.TiktokApp) error {
	begun := s.opts.Clock.Now()
	err := s.turns.wait(ctx, app.Spec.AppID, string(ch.UID), s.opts.Apps.Limiter(app), app.RequestsPerSecond())
	s.metrics.waited(s.opts.Clock.Since(begun))
	return err
}

// claim writes down that TikTok is about to be called. The error may be eventlog.ErrSendChanged.
func (s *Sender) claim(ctx context.Context, j *job) error {
	now := s.opts.Clock.Now()
	j.Stage, j.CalledAt, j.Until = called, now, now.Add(patience)
	return s.save(ctx, j)
}

// announce tells that the message is accepted, while TikTok is called.
func (s *Sender) announce(ctx context.Context, j *job, businessID string) {
	accepted := *j.attempt
	told := make(chan struct{})
	j.announced = told
	s.pending.Go(func() {
		defer close(told)
		of := &job{Request: j.Request, attempt: &accepted}
		if err := s.tell(ctx, of, businessID, cloudevent.StatusAccepted, accepted.AcceptedAt, nil); err != nil {
			s.opts.Logger.Error(err, "that a message was accepted could not be stored; what becomes of it is tried still",
				"namespace", j.Channel.Namespace, "channel", j.Channel.Name, "sendID", accepted.SendID)
		}
	})
}

// save remembers the attempt, where there is a key to remember it by.
func (s *Sender) save(ctx context.Context, j *job) error {
	if j.IdempotencyKey == "" {
		return nil
	}
	value, err := j.encode()
	if err != nil {
		return err
	}
	revision, err := s.opts.Log.SaveSend(ctx, j.id, value, j.revision)
	if err != nil {
		return err
	}
	j.revision = revision
	return nil
}

// conclude stores what the call came to, and answers.
func (s *Sender) conclude(
	ctx context.Context, j *job, session *business.Session, messageID string, result result, doubts []messaging.Reason,
) (*Sent, error) {
	j.Until = time.Time{}
	switch result.outcome {
	case outcomeSent:
		j.Stage, j.MessageID = sent, messageID
		s.settled(ctx, j, session.BusinessID, cloudevent.StatusSent, nil)
		return j.answer(false)
	case outcomeRefused:
		j.Stage, j.Refusal = refused, result.refusal(doubts)
		s.settled(ctx, j, session.BusinessID, cloudevent.StatusFailed, j.Refusal)
		return nil, j.Refusal
	case outcomeUnknown:
		s.settled(ctx, j, session.BusinessID, "", nil)
		return s.search(ctx, j, session)
	default:
		j.Stage = idle
		refusal := result.refusal(doubts)
		s.settled(ctx, j, session.BusinessID, cloudevent.StatusFailed, refusal)
		if result.outcome == outcomeBlocked {
			return nil, refusal
		}
		return nil, &NotSentError{
			Throttled: result.outcome == outcomeThrottled, RetryAfter: result.retryAfter, Explanation: refusal.Explanation, Cause: result.err,
		}
	}
}
