package messagingapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
)

// sendProblem says of an error of the Sender what the caller is told; others are left as they are.
func sendProblem(err error) error {
	var (
		rules        *messaging.Refusal
		refused      *outbound.TikTokRefusal
		notSent      *outbound.NotSentError
		unknown      *outbound.UnknownOutcomeError
		reused       *outbound.KeyReusedError
		progress     *outbound.InProgressError
		unauthorized *business.NotAuthorizedError
	)
	p := problem.Problem{Detail: err.Error()}
	switch {
	case errors.As(err, &rules):
		p.Name, p.Status, p.Title = string(rules.Reason), http.StatusUnprocessableEntity, "TikTok's rules do not allow the message"
		if rules.Reason == messaging.ReasonChannelSuspended || rules.Reason == messaging.ReasonChannelNotAuthorized {
			p.Status, p.Title = http.StatusConflict, "The channel cannot send"
		}
	case errors.As(err, &unauthorized):
		p.Name, p.Status, p.Title = string(messaging.ReasonChannelNotAuthorized), http.StatusConflict, "The channel cannot send"
	case errors.As(err, &refused):
		p.Name, p.Status, p.Title = "refused-by-tiktok", http.StatusUnprocessableEntity, "TikTok refused it"
		if words := strings.TrimSpace(refused.Message); words != "" {
			p.Detail += " TikTok's words: " + words
		}
		p.Members = map[string]any{"code": refused.Code}
		if refused.RequestID != "" {
			p.Members["requestID"] = refused.RequestID
		}
		if len(refused.Doubts) > 0 {
			p.Members["possibleReasons"] = refused.Doubts
		}
	case errors.As(err, &notSent) && notSent.Throttled:
		p.Name, p.Status, p.Title = "too-many-requests", http.StatusTooManyRequests, "Too many requests to TikTok"
		p.RetryAfter = max(notSent.RetryAfter, time.Second)
	case errors.As(err, &notSent):
		p.Name, p.Status, p.Title = "tiktok-unavailable", http.StatusServiceUnavailable, "TikTok could not be reached"
		p.RetryAfter = max(notSent.RetryAfter, 5*time.Second)
	case errors.As(err, &reused):
		p.Name, p.Status, p.Title = "idempotency-key-reused", http.StatusConflict, "The idempotency key stands for another message"
	case errors.As(err, &progress):
		p.Name, p.Status, p.Title, p.RetryAfter = "send-in-progress", http.StatusConflict, "The message is being sent", progress.RetryAfter
	case errors.As(err, &unknown):
		p.Name, p.Status, p.Title = "outcome-unknown", http.StatusGatewayTimeout, "Whether the message was sent is not known"
		p.RetryAfter, p.Members = unknown.RetryAfter, map[string]any{"sendID": unknown.SendID}
	case errors.Is(err, context.DeadlineExceeded):
		p.Name, p.Status, p.Title = "tiktok-unavailable", http.StatusServiceUnavailable, "There was no time to send the message"
		p.Detail, p.RetryAfter = "The message was not sent. Send it again.", 5*time.Second
	default:
		return err
	}
	return &problem.Error{Problem: p}
}
