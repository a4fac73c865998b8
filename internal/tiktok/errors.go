package tiktok

import (
	"fmt"
	"strings"
	"time"
)

// Error is a call that brought no result. It holds no secret and no URL: it names the endpoint, the code, TikTok's words, and the ids that
// TikTok's support asks for.
type Error struct {
	// Class is what it means.
	Class Class
	// Endpoint is the path after the API's base URL.
	Endpoint string
	// Code is TikTok's, 0 if it gave none.
	Code int
	// HTTPStatus is 0 if there was no answer.
	HTTPStatus int
	// Message is TikTok's words, or what went wrong instead: at most 200 printable characters, without the secrets that the request carried.
	Message string
	// RequestID and LogID (the header x-tt-logid) identify the call at TikTok; "" if it did not say.
	RequestID, LogID string
	// RetryAfter is how long to pause, for ClassRateLimited; else 0.
	RetryAfter time.Duration
	// NotSent: the request provably did not reach TikTok, so that it can be made again without harm.
	NotSent bool

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "TikTok %s: ", e.Endpoint)
	switch {
	case e.Code != codeOK:
		fmt.Fprintf(&b, "code %d", e.Code)
	case e.HTTPStatus != 0:
		fmt.Fprintf(&b, "HTTP %d", e.HTTPStatus)
	case e.NotSent:
		b.WriteString("not sent")
	default:
		b.WriteString("no answer")
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	var ids []string
	if e.RequestID != "" {
		ids = append(ids, "request_id "+e.RequestID)
	}
	if e.LogID != "" {
		ids = append(ids, "x-tt-logid "+e.LogID)
	}
	if len(ids) > 0 {
		b.WriteString(" (" + strings.Join(ids, ", ") + ")")
	}
	return b.String()
}

// Unwrap returns context.Canceled, context.DeadlineExceeded or ErrMediaTooLarge where that was the cause, else nil. Other causes stay hidden:
// they quote URLs.
func (e *Error) Unwrap() error { return e.cause }
