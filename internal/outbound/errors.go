package outbound

import (
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// TikTokRefusal is that TikTok refused a message. It is an error.
type TikTokRefusal struct {
	// Code and Message are TikTok's, RequestID is for its support.
	Code      int    `json:"code"`
	Message   string `json:"message,omitempty"`
	RequestID string `json:"requestID,omitempty"`
	// Explanation says what it means and what to do.
	Explanation string `json:"explanation"`
	// Doubts are the rules that the message may have broken, as far as they are known here.
	Doubts []messaging.Reason `json:"doubts,omitempty"`
}

// Error implements error.
func (e *TikTokRefusal) Error() string { return e.Explanation }

// NotSentError says that a message was not sent, and may be sent again under the same key.
type NotSentError struct {
	// Throttled: TikTok gets too many requests of the app, or would.
	Throttled bool
	// RetryAfter is when to try again; zero says nothing.
	RetryAfter time.Duration
	// Explanation says why.
	Explanation string
	// Cause is for the log; it may be nil.
	Cause error
}

// Error implements error.
func (e *NotSentError) Error() string { return e.Explanation }

// Unwrap implements errors.Unwrap.
func (e *NotSentError) Unwrap() error { return e.Cause }

// KeyReusedError says that an idempotency key was used for another message before.
type KeyReusedError struct{}

// Error implements error.
func (*KeyReusedError) Error() string {
	return "The idempotency key was used for another message before. Use a new key for each message, and the same one only to repeat a request."
}

// InProgressError says that another request with the same key is being dealt with.
type InProgressError struct{ RetryAfter time.Duration }

// Error implements error.
func (*InProgressError) Error() string {
	return "Another request with this idempotency key is being dealt with. Repeat the request to learn what came of it."
}

// UnknownOutcomeError says that nobody knows whether TikTok has a message.
type UnknownOutcomeError struct {
	SendID string
	// RetryAfter is when more is known.
	RetryAfter time.Duration
}

// Error implements error.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("TikTok did not answer, or not clearly, and whether it has the message %s is not known yet. Repeat the request with the same "+
		"idempotency key: it is sent again only if TikTok turns out not to have it. Without a key, read the conversation before you send anew.", e.SendID)
}
