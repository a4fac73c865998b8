package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// outcome of a call.
type outcome string

const (
	outcomeSent outcome = "sent"
	// outcomeRefused: TikTok refused the message, and would again.
	outcomeRefused outcome = "refused"
	// outcomeBlocked: TikTok refused it for something that a person must change; then it may be sent.
	outcomeBlocked outcome = "blocked"
	// outcomeToken: TikTok refused the access token.
	outcomeToken outcome = "token"
	// outcomeThrottled: too many requests.
	outcomeThrottled outcome = "throttled"
	// outcomeNotSent: it did not reach TikTok.
	outcomeNotSent outcome = "not-sent"
	// outcomeUnknown: TikTok may have it, or not.
	outcomeUnknown outcome = "unknown"
)

// result of a call.
type result struct {
	outcome    outcome
	retryAfter time.Duration
	err        error
}

// classify says what an error of a call means for the message.
func classify(err error) outcome {
	if err == nil {
		return outcomeSent
	}
	var e *tiktok.Error
	if !errors.As(err, &e) {
		return outcomeUnknown
	}
	switch {
	case e.Class == tiktok.ClassRateLimited:
		return outcomeThrottled
	case e.Class == tiktok.ClassTokenRefused:
		return outcomeToken
	case e.NotSent:
		return outcomeNotSent
	case e.Class == tiktok.ClassScopeMissing, e.Class == tiktok.ClassAppCredentials:
		return outcomeBlocked
	case e.Class == tiktok.ClassPermanent, e.Class == tiktok.ClassCodeRefused:
		return outcomeRefused
	default: // TikTok failed, also where it says so with a code of its own
		return outcomeUnknown
	}
}

// refusal is what to tell of a message that was not sent.
func (r result) refusal(doubts []messaging.Reason) *TikTokRefusal {
	var e *tiktok.Error
	if !errors.As(r.err, &e) {
		return &TikTokRefusal{Explanation: "TikTok could not be reached, and the message was not sent. Send it again."}
	}
	out := &TikTokRefusal{Code: e.Code, Message: e.Message, RequestID: e.RequestID, Explanation: messaging.Explain(e)}
	if e.Code == tiktok.CodeMessageBlocked {
		out.Doubts = doubts
	}
	return out
}

// call calls TikTok, with a permit that the caller holds. A token that TikTok refuses is replaced once.
func (s *Sender) call(ctx context.Context, j *job, session *business.Session, mediaID string) (messageID string, r result) {
	for try := 1; ; try++ {
		messageID, r = s.callOnce(ctx, j, session, mediaID)
		switch {
		case r.outcome == outcomeThrottled:
			r.retryAfter = s.opts.Apps.Throttled(session.App, r.err)
		case r.outcome == outcomeToken && try == 1:
			next := s.renew(ctx, j.Channel, session)
			if next == nil || s.turn(ctx, j.Channel, session.App) != nil {
				break
			}
			session = next
			continue
		}
		if r.outcome == outcomeToken { // the manager raises the alarm
			r.outcome = outcomeBlocked
		}
		return messageID, r
	}
}

func (s *Sender) callOnce(ctx context.Context, j *job, session *business.Session, mediaID string) (string, result) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	messageID, err := session.Client.Granted().SendMessage(
		ctx, session.AccessToken, session.BusinessID, j.ConversationID, outgoing(j.Message, mediaID))
	return messageID, result{outcome: classify(err), err: err}
}
