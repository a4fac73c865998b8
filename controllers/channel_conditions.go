package controllers

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// observation is what one pass over a channel found out.
type observation struct {
	now time.Time
	// suspended is spec.suspend.
	suspended bool
	// authorizedBefore: the channel has held a business.
	authorizedBefore bool
	// app says why the channel's TiktokApp cannot be used at all, nil if it can.
	app *problem
	// secret says why the token Secret cannot be used, nil if it can.
	secret *problem
	// imported says what keeps spec.importTokensFrom from being imported, nil if nothing does.
	imported *problem
	// identity says why the tokens' business may not be this channel's, nil if it may.
	identity *problem
	// tokens the channel has, nil if none.
	tokens *token.Tokens
	// decision about the tokens; the zero value without tokens.
	decision token.Decision
	// failures in passing, if any.
	failures *token.Failures
	// sinks is the SinksResolved condition.
	sinks metav1.Condition
}

// blocking is the problem that keeps the channel from being Ready, the most fundamental first; nil if there is none.
func (o *observation) blocking() *problem {
	for _, p := range []*problem{o.secret, o.app, o.identity, o.lost(), o.absent(), o.paused(), o.expired(), o.unresolved()} {
		if p != nil {
			return p
		}
	}
	return nil
}

// lost: the channel was authorized, and is no longer.
func (o *observation) lost() *problem {
	switch {
	case o.secret != nil && o.tokens == nil:
		return nil // there may well be tokens, but not where the operator may look
	case o.tokens == nil && o.authorizedBefore:
		return &problem{
			Reason: v1alpha1.ReasonTokenSecretMissing, Stalled: true, Reauthorize: true, Authorize: true,
			Message: "The token Secret was deleted, or its refresh_token was removed: open status.authorizationURL to authorize again.",
		}
	case o.tokens != nil && o.decision.Action == token.Person:
		return &problem{
			Reason: o.decision.Reason, Stalled: true, Reauthorize: true, Authorize: true,
			Message: o.decision.Message + " Open status.authorizationURL to authorize again.",
		}
	}
	return nil
}

// absent: nobody has authorized the channel yet.
func (o *observation) absent() *problem {
	if o.tokens != nil {
		return nil
	}
	if o.imported != nil {
		return o.imported
	}
	return &problem{
		Reason: v1alpha1.ReasonAwaitingAuthorization, Authorize: true,
		Message: "Nobody has authorized this channel yet: a person with access to the TikTok business account opens status.authorizationURL.",
	}
}

func (o *observation) paused() *problem {
	if !o.suspended {
		return nil
	}
	return &problem{
		Reason:  v1alpha1.ReasonSuspended,
		Message: "spec.suspend is set: nothing is refreshed, dispatched or sent; inbound events are stored.",
	}
}

// expired: the access token is dead and the refreshes fail in passing.
func (o *observation) expired() *problem {
	if o.tokens.Alive(o.now) {
		return nil
	}
	p := &problem{Reason: v1alpha1.ReasonTokenExpired, Message: "The access token has expired and is about to be refreshed."}
	if o.decision.Reason != v1alpha1.ReasonTokenFresh {
		p.Message = "The access token has expired and refreshes fail: " + o.decision.Message
	}
	return p
}

// unresolved: a sink cannot be delivered to. One that fails does not count: its events are kept and tried again, and the channel works.
func (o *observation) unresolved() *problem {
	if o.sinks.Status != metav1.ConditionFalse || o.sinks.Reason == v1alpha1.ReasonSinkFailing {
		return nil
	}
	return &problem{Reason: o.sinks.Reason, Message: o.sinks.Message}
}

// apply writes the conditions of a channel from what was observed. All change together, in memory; the caller writes them in one patch.
func (o *observation) apply(ch *v1alpha1.TiktokChannel) {
	set := func(c metav1.Condition) {
		c.ObservedGeneration = ch.Generation
		c.LastTransitionTime = metav1.NewTime(o.now)
		c.Message = bounded(c.Message)
		meta.SetStatusCondition(&ch.Status.Conditions, c)
	}
	blocking := o.blocking()
	set(ready(blocking))
	set(o.authorized())
	set(o.tokenFresh())
	set(o.reauthorizationRequired())
	set(o.sinks)

	waiting := kstatus(blocking)
	for _, c := range []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition} {
		if c != waiting {
			meta.RemoveStatusCondition(&ch.Status.Conditions, c)
		}
	}
	if waiting != "" {
		set(metav1.Condition{Type: waiting, Status: metav1.ConditionTrue, Reason: blocking.Reason, Message: blocking.Message})
	}
	ch.Status.ObservedGeneration = ch.Generation
}

// kstatus is which of kstatus's conditions a problem raises; they are present only while True, and never both. Neither for a channel that
// works, or that somebody suspended.
func kstatus(blocking *problem) string {
	switch {
	case blocking == nil || blocking.Reason == v1alpha1.ReasonSuspended:
		return ""
	case blocking.Stalled:
		return v1alpha1.StalledCondition
	default:
		return v1alpha1.ReconcilingCondition
	}
}

func ready(blocking *problem) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ReadyCondition}
	if blocking != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, blocking.Reason, blocking.Message
		return c
	}
	c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "The channel is connected."
	return c
}

func (o *observation) authorized() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.AuthorizedCondition, Status: metav1.ConditionFalse}
	p := o.secret
	for _, candidate := range []*problem{o.identity, o.lost(), o.absent()} {
		if p == nil {
			p = candidate
		}
	}
	if p != nil {
		c.Reason, c.Message = p.Reason, p.Message
		return c
	}
	c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonAuthorized
	c.Message = "TikTok granted every required scope."
	return c
}

func (o *observation) tokenFresh() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.TokenFreshCondition, Status: metav1.ConditionFalse}
	switch {
	case o.tokens == nil:
		c.Reason, c.Message = v1alpha1.ReasonNoToken, "There are no tokens."
	case o.decision.Action == token.Person:
		c.Reason, c.Message = o.decision.Reason, o.decision.Message
	case !o.tokens.Alive(o.now):
		c.Reason, c.Message = v1alpha1.ReasonTokenExpired, "The access token has expired."
	case o.failures != nil:
		c.Reason, c.Message = o.failures.Reason, o.failures.Message
	case o.decision.Reason == v1alpha1.ReasonAppNotReady && !o.now.Before(token.RefreshAt(*o.tokens, 0, "")):
		c.Reason, c.Message = o.decision.Reason, o.decision.Message
	default:
		if reason, message, expiring := token.Warning(*o.tokens, o.now); expiring {
			c.Reason, c.Message = reason, message
			return c
		}
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonTokenFresh, "The access token is alive."
	}
	return c
}

func (o *observation) reauthorizationRequired() metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ReauthorizationRequiredCondition, Status: metav1.ConditionFalse}
	if p := o.lost(); p != nil && p.Reauthorize {
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, p.Reason, p.Message
		return c
	}
	c.Reason, c.Message = v1alpha1.ReasonNotRequired, "No person needs to act on the authorization."
	return c
}

// wakeUps are the times at which the conditions may change by themselves.
func (o *observation) wakeUps() []time.Time {
	if o.tokens == nil || o.decision.Action == token.Person {
		return nil
	}
	return []time.Time{
		o.decision.At, o.tokens.AccessTokenExpiresAt, o.tokens.RefreshTokenExpiresAt.Add(-token.RefreshTokenWarning),
		o.tokens.RefreshTokenExpiresAt,
	}
}

// bounded keeps a message within what a condition may hold, which is 32 KiB. Each of a channel's sinks has room for its sentence.
func bounded(message string) string {
	const limit = 16 << 10
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit-len("…")], "") + "…"
}
