package outbound

import (
	"context"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Act shows the user that the business types, or that it has read. It is done once, and nothing is remembered of it. Errors are those of Send.
func (s *Sender) Act(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string, action tiktok.SenderAction) error {
	if refusal := messaging.RefuseChannel(channelState(ch)); refusal != nil {
		return refusal
	}
	session, err := s.opts.Sessions.Session(ctx, ch)
	if err != nil {
		return err
	}
	if err := s.turn(ctx, ch, session.App); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = session.Client.Granted().SendAction(ctx, session.AccessToken, session.BusinessID, conversationID, action)
	r := result{outcome: classify(err), err: err}
	switch r.outcome {
	case outcomeSent:
		return nil
	case outcomeToken:
		s.opts.Sessions.Forget(string(ch.UID))
		return r.refusal(nil)
	case outcomeRefused, outcomeBlocked:
		return r.refusal(nil)
	case outcomeThrottled:
		return &NotSentError{Throttled: true, RetryAfter: s.opts.Apps.Throttled(session.App, err), Explanation: r.refusal(nil).Explanation, Cause: err}
	default:
		return &NotSentError{Explanation: "TikTok did not answer. It may show all the same.", Cause: err}
	}
}
