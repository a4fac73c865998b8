package token

import (
	"fmt"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Action is what to do about a channel's tokens.
type Action string

const (
	// Wait: nothing until Decision.At (or a change).
	Wait Action = "Wait"
	// Refresh: now.
	Refresh Action = "Refresh"
	// Person: nothing helps but a new authorization (or new tokens).
	Person Action = "Person"
)

// Input is all that the decision depends on.
type Input struct {
	Now time.Time
	// Tokens that the channel has.
	Tokens Tokens
	// State beside them.
	State State
	// Channel is "namespace/name", UID its unique id, Generation that of its spec.
	Channel, UID string
	Generation   int64
	// RefreshBefore is spec.refreshBefore, zero for the default.
	RefreshBefore time.Duration
	// RequiredScopes are the app's.
	RequiredScopes []string
	// RefreshRequest is the value of the refresh annotation if it has not been answered, else "".
	RefreshRequest string
	// Suspended is spec.suspend.
	Suspended bool
	// AppUsable says that the app's credentials are there and not known to be refused.
	AppUsable bool
	// Unconfirmed says that only the token Secret says which business the tokens belong to, and that TikTok may be asked.
	Unconfirmed bool
}

// Decision is the verdict: an action, when it is due, and why, as a condition reason with a sentence for a person.
type Decision struct {
	Action  Action
	At      time.Time
	Reason  string
	Message string
}

// Decide says what to do about a channel's tokens. The first check that has something to say decides.
func Decide(in Input) Decision {
	for _, check := range []func(Input) (Decision, bool){
		suspended,      // nothing happens while a person wants nothing to happen
		removed,        // TikTok said that the authorization is over, and why
		scopesMissing,  // another refresh brings the same scopes
		refused,        // TikTok's last word, until something changes
		expiredForGood, // TikTok could only refuse
		appUnusable,    // TikTok would refuse the app, not the channel
		requested,      // a person asks: no back-off, no schedule
		backingOff,     // it failed in passing
		retrying,       // and is tried until it succeeds, on schedule or not
		unconfirmed,    // only TikTok can say whose the tokens are
	} {
		if d, ok := check(in); ok {
			return d
		}
	}
	due := RefreshAt(in.Tokens, in.RefreshBefore, in.UID)
	if in.Now.Before(due) {
		return Decision{Action: Wait, At: due, Reason: v1alpha1.ReasonTokenFresh, Message: "The access token is alive."}
	}
	return Decision{Action: Refresh, At: due, Reason: v1alpha1.ReasonTokenFresh, Message: "The access token is due for a refresh."}
}

func suspended(in Input) (Decision, bool) {
	return Decision{
		Action: Wait, Reason: v1alpha1.ReasonSuspended,
		Message: "spec.suspend is set: tokens are not refreshed and will expire if it stays set.",
	}, in.Suspended
}

func removed(in Input) (Decision, bool) {
	if !in.State.Removal.Concerns(in.State.Memory) || requestOpen(in) {
		return Decision{}, false
	}
	return Decision{Action: Person, Reason: v1alpha1.ReasonAuthorizationRemoved, Message: in.State.Removal.words()}, true
}

func scopesMissing(in Input) (Decision, bool) {
	if len(in.Tokens.Scopes) == 0 || requestOpen(in) {
		return Decision{}, false
	}
	missing := Missing(in.Tokens.Scopes, in.RequiredScopes)
	return Decision{
		Action: Person, Reason: v1alpha1.ReasonScopesMissing,
		Message: fmt.Sprintf("The business has not granted %s, which the TiktokApp requires. Authorize again and leave every permission ticked, "+
			"or take the scope off the TiktokApp's spec.scopes.", strings.Join(missing, ", ")),
	}, len(missing) > 0
}

func refused(in Input) (Decision, bool) {
	r := in.State.Refusal
	if r == nil || requestOpen(in) || r.Generation != in.Generation || r.TokenDigest != Digest(in.Channel, in.Tokens.RefreshToken) {
		return Decision{}, false
	}
	return Decision{Action: Person, Reason: r.Reason, Message: r.Message}, true
}

func expiredForGood(in Input) (Decision, bool) {
	end := in.Tokens.RefreshTokenExpiresAt
	return Decision{
		Action: Person, Reason: v1alpha1.ReasonRefreshTokenExpired,
		Message: fmt.Sprintf("The refresh token ended at %s. Authorize again.", end.Format(time.RFC3339)),
	}, !end.IsZero() && !in.Now.Before(end) && !requestOpen(in)
}

func appUnusable(in Input) (Decision, bool) {
	return Decision{
		Action: Wait, Reason: v1alpha1.ReasonAppNotReady,
		Message: "The TiktokApp's credentials are missing or refused: the token is refreshed as soon as they are good again.",
	}, !in.AppUsable
}

func requested(in Input) (Decision, bool) {
	return Decision{
		Action: Refresh, At: in.Now, Reason: v1alpha1.ReasonTokenFresh, Message: "A refresh was requested.",
	}, requestOpen(in)
}

func backingOff(in Input) (Decision, bool) {
	f := in.State.Failures
	if f == nil || f.Generation != in.Generation || !in.Now.Before(f.NextTime) {
		return Decision{}, false
	}
	// A stored time far in the future is clock skew, not back-off.
	if f.NextTime.Sub(in.Now) > maxPause {
		return Decision{}, false
	}
	return Decision{Action: Wait, At: f.NextTime, Reason: f.Reason, Message: f.Message}, true
}

func retrying(in Input) (Decision, bool) {
	f := in.State.Failures
	return Decision{Action: Refresh, At: in.Now, Reason: v1alpha1.ReasonTokenFresh, Message: "The last refresh failed in passing."},
		f != nil && f.Generation == in.Generation
}

// unconfirmed: TikTok names the business in its answer to a refresh.
func unconfirmed(in Input) (Decision, bool) {
	return Decision{
		Action: Refresh, At: in.Now, Reason: v1alpha1.ReasonBusinessUnconfirmed,
		Message: "A refresh is due to learn from TikTok which business the tokens belong to.",
	}, in.Unconfirmed
}

// maxPause bounds what is believed of a stored time: TikTok's daily limit lifts at midnight UTC.
const maxPause = 24*time.Hour + time.Minute

func requestOpen(in Input) bool {
	return in.RefreshRequest != "" && in.RefreshRequest != in.State.HandledRequest
}
