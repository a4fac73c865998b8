package tiktok

import (
	"errors"
	"net/http"
)

// Class is what an error means for the caller.
type Class string

// Classes of errors.
const (
	// ClassTransient: TikTok, the network or the caller's context failed in passing.
	ClassTransient Class = "transient"
	// ClassRateLimited: too many requests; Error.RetryAfter says how long to pause.
	ClassRateLimited Class = "rate_limited"
	// ClassAppCredentials: TikTok refuses the app id and secret: never a reason to ask a business to do anything.
	ClassAppCredentials Class = "app_credentials"
	// ClassTokenRefused: the access token is wrong, expired or revoked.
	ClassTokenRefused Class = "token_refused"
	// ClassScopeMissing: no permission: a scope is missing, or the app is not approved for it.
	ClassScopeMissing Class = "scope_missing"
	// ClassCodeRefused: the authorization code is invalid, used or expired.
	ClassCodeRefused Class = "code_refused"
	// ClassMalformed: the answer is not TikTok's (a proxy's HTML), or not all of it, or lacks what it must have. Whether the request was
	// processed is not known.
	ClassMalformed Class = "malformed"
	// ClassPermanent: TikTok refused, and would again.
	ClassPermanent Class = "permanent"
)

// Codes that TikTok is known to answer to messages, besides those that have a class of their own. They are ClassPermanent: the message is
// refused, and would be again, unless the user writes meanwhile.
const (
	// CodeParameter: a parameter is wrong, and the message names it.
	CodeParameter = 40002
	// CodeNotFound: what the call is about does not exist.
	CodeNotFound = 40007
	// CodeMessageBlocked: the rules of direct messages forbid it: the window is closed, its quota used up, or no user began the conversation.
	// Also seen for a business's daily number of conversations.
	CodeMessageBlocked = 40064
	// CodeUnsupportedFile: the file is of a type that TikTok does not take.
	CodeUnsupportedFile = 40908
)

// Codes that TikTok is known to answer to all calls.
const (
	codeOK             = 0
	codeNoPermission   = 40001
	codeRateLimited    = 40100
	codeAppCredentials = 40101
	codeToken          = 40105
	codeAuthCode       = 40110
)

// ClassOf says what an error means; "" for nil. An error that is not an *Error is ClassTransient: nothing says that TikTok refused. That goes
// for a context that ended, too; errors.Is tells it apart.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e != nil:
		return e.Class
	default:
		return ClassTransient
	}
}

// classify is the one place that gives an answer its class. A code counts more than the HTTP status. A code outside 4xxxx that nobody
// documents is no refusal: to ask again costs a call, to believe it may cost an authorization.
func classify(httpStatus, code int) Class {
	switch {
	case code == codeNoPermission:
		return ClassScopeMissing
	case code == codeRateLimited:
		return ClassRateLimited
	case code == codeAppCredentials:
		return ClassAppCredentials
	case code == codeToken:
		return ClassTokenRefused
	case code == codeAuthCode:
		return ClassCodeRefused
	case code >= 40000 && code < 50000:
		return ClassPermanent
	case code >= 50000 && code < 60000:
		return ClassTransient
	case httpStatus == http.StatusTooManyRequests:
		return ClassRateLimited
	case httpStatus == http.StatusUnauthorized:
		return ClassTokenRefused
	case httpStatus == http.StatusForbidden:
		return ClassScopeMissing
	case httpStatus >= 500, httpStatus == http.StatusRequestTimeout:
		return ClassTransient
	case httpStatus >= 400:
		return ClassPermanent
	case httpStatus < 300 && code != codeOK:
		return ClassTransient
	default:
		return ClassMalformed // a redirect, or a success without an envelope
	}
}
