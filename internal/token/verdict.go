package token

import (
	"errors"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Outcome is what a failed refresh means.
type Outcome string

const (
	// Retry: it failed in passing.
	Retry Outcome = "Retry"
	// PauseApp: TikTok throttles the app; none of its channels should call for a while.
	PauseApp Outcome = "PauseApp"
	// BlameApp: the app's credentials are refused. No business is asked to do anything.
	BlameApp Outcome = "BlameApp"
	// CheckApp: TikTok refused, and no source names the code of a dead refresh token. It is one if the app's own credentials are good at this
	// time: ask TikTok about them before a business is asked to authorize again.
	CheckApp Outcome = "CheckApp"
)

// AfterFailure says what a failed refresh means.
func AfterFailure(err error) Outcome {
	var e *tiktok.Error
	if errors.As(err, &e) && e.Code == 0 && e.Class != tiktok.ClassRateLimited {
		// No code of TikTok's: a 401 or 403 from a proxy in between must not cost a business its authorization.
		return Retry
	}
	switch tiktok.ClassOf(err) {
	case tiktok.ClassRateLimited:
		return PauseApp
	case tiktok.ClassAppCredentials:
		return BlameApp
	case tiktok.ClassTokenRefused, tiktok.ClassScopeMissing, tiktok.ClassCodeRefused, tiktok.ClassPermanent:
		return CheckApp
	default:
		// Transient and malformed answers, timeouts, and whatever is not known: the old token may still be good, and is all there is.
		return Retry
	}
}

// Failed is the state after a failure in passing. random in [0,1) is the jitter; pause, if longer than the back-off, is TikTok's.
func (m Memory) Failed(now time.Time, generation int64, reason, message string, random float64, pause time.Duration) Memory {
	count := int32(1)
	if m.Failures != nil && m.Failures.Generation == generation {
		count = min(m.Failures.Count+1, 1_000_000)
	}
	now = now.UTC().Truncate(time.Second)
	m.Failures = &Failures{
		Count: count, LastTime: now, NextTime: now.Add(max(Backoff(count, random), pause)).Truncate(time.Second),
		Reason: reason, Message: message, Generation: generation,
	}
	return m
}

// Refused is the state after a refusal for good.
func (m Memory) Refused(now time.Time, generation int64, reason, message, tokenDigest string) Memory {
	m.Failures = nil
	m.Refusal = &Refusal{
		Reason: reason, Message: message, TokenDigest: tokenDigest, Generation: generation, Time: now.UTC().Truncate(time.Second),
	}
	return m
}

// Succeeded is the state after new tokens.
func (m Memory) Succeeded() Memory {
	m.Failures, m.Refusal = nil, nil
	return m
}

// Authorized is the state after an authorization by a person, which brought new tokens at the given time. removal is what was known of the
// end of the one before.
func (m Memory) Authorized(at time.Time, removal *Removal) Memory {
	m = m.Succeeded().Outlived(at, removal)
	m.AuthorizedAt = at
	return m
}

// Outlived is the state after a success that shows an authorization that came after the removal, if any, or was not ended by it: tokens that
// were imported at the given time, or a refresh (at is zero). Of the times of two clocks, the removal's and ours, the later one counts.
func (m Memory) Outlived(at time.Time, removal *Removal) Memory {
	if removal != nil {
		if next := removal.Time.Add(time.Second); next.After(at) {
			at = next
		}
	}
	if at = at.UTC().Truncate(time.Second); at.After(m.RemovalsFrom) {
		m.RemovalsFrom = at
	}
	return m
}

// Warning says whether, and how, the refresh token nears its end.
func Warning(t Tokens, now time.Time) (reason, message string, expiring bool) {
	end := t.RefreshTokenExpiresAt
	if end.IsZero() || end.Sub(now) >= RefreshTokenWarning {
		return "", "", false
	}
	return v1alpha1.ReasonRefreshTokenExpiring, "The refresh token ends at " + end.Format(time.RFC3339) +
		". A refresh would bring a new one: see why refreshes fail, or authorize again before then.", true
}
