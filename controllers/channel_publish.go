package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// publish puts what was found out into the status, and tells of what turned.
func (p *pass) publish(ctx context.Context) error {
	st := &p.ch.Status
	before := st.DeepCopy()
	p.o.apply(p.ch)
	p.publishTokens(st)
	if err := p.publishLink(ctx, st); err != nil {
		return err
	}
	p.announce(before, st)
	return nil
}

func (p *pass) publishTokens(st *v1alpha1.TiktokChannelStatus) {
	next := st.NextRefreshTime
	st.AccessTokenExpiresAt, st.RefreshTokenExpiresAt, st.LastRefreshTime, st.NextRefreshTime = nil, nil, nil, nil
	st.RefreshFailures = nil
	if p.snap == nil {
		// There is nothing to refresh, so a request is answered by doing nothing.
		if p.o.secret == nil {
			st.LastHandledRefreshAt = p.ch.Annotations[v1alpha1.RefreshRequestedAtAnnotation]
		}
		return
	}
	if handled := p.snap.State.HandledRequest; handled != "" && handled == p.ch.Annotations[v1alpha1.RefreshRequestedAtAnnotation] {
		st.LastHandledRefreshAt = handled
	}
	st.AuthorizationEpoch = max(st.AuthorizationEpoch, p.snap.State.Epoch)
	if at := p.snap.State.AuthorizedAt; !at.IsZero() {
		st.LastAuthorizationTime = timeOrNil(at)
	}
	if f := p.o.failures; f != nil {
		st.RefreshFailures = &v1alpha1.RefreshFailures{
			Count: f.Count, LastTime: metav1.NewTime(f.LastTime), NextTime: metav1.NewTime(f.NextTime),
		}
	}
	t := p.o.tokens
	if t == nil {
		return
	}
	if p.o.identity == nil && t.BusinessID != "" && (p.heldNow || st.BusinessID == t.BusinessID) {
		st.BusinessID = t.BusinessID
	}
	st.GrantedScopes = sortedScopes(t.Scopes)
	st.AccessTokenExpiresAt, st.RefreshTokenExpiresAt = timeOrNil(t.AccessTokenExpiresAt), timeOrNil(t.RefreshTokenExpiresAt)
	st.LastRefreshTime = timeOrNil(t.ObtainedAt)
	switch p.o.decision.Action {
	case token.Wait:
		st.NextRefreshTime = timeOrNil(p.o.decision.At)
	case token.Refresh: // it waits for its turn at the rate limit, which is no news: thousands may
		st.NextRefreshTime = next
	}
}

// publishLink offers an authorization link while one helps.
func (p *pass) publishLink(ctx context.Context, st *v1alpha1.TiktokChannelStatus) error {
	blocking := p.o.blocking()
	if p.Links == nil || p.app == nil || blocking == nil || !blocking.Authorize {
		st.AuthorizationURL = ""
		return nil
	}
	link, renewAt, err := p.Links.Link(ctx, p.ch, p.app, st.AuthorizationEpoch, st.AuthorizationURL)
	if err != nil {
		return err
	}
	st.AuthorizationURL = link
	p.wakes = append(p.wakes, renewAt)
	return nil
}

// announce raises the events of conditions that turned.
func (p *pass) announce(before, after *v1alpha1.TiktokChannelStatus) {
	turnedTrue := func(condition string) *metav1.Condition {
		if meta.IsStatusConditionTrue(before.Conditions, condition) {
			return nil
		}
		if c := meta.FindStatusCondition(after.Conditions, condition); c != nil && c.Status == metav1.ConditionTrue {
			return c
		}
		return nil
	}
	if c := turnedTrue(v1alpha1.ReauthorizationRequiredCondition); c != nil {
		p.event(corev1.EventTypeWarning, v1alpha1.EventReauthorizationRequired, "Authorize", "%s", c.Message)
	} else if c := turnedTrue(v1alpha1.StalledCondition); c != nil {
		p.event(corev1.EventTypeWarning, c.Reason, "Reconcile", "%s", c.Message)
	}
	if turnedTrue(v1alpha1.AuthorizedCondition) != nil {
		p.event(corev1.EventTypeNormal, v1alpha1.EventAuthorized, "Authorize", "TikTok business %s is connected.", after.BusinessID)
	}
	fresh, was := meta.FindStatusCondition(after.Conditions, v1alpha1.TokenFreshCondition),
		meta.FindStatusCondition(before.Conditions, v1alpha1.TokenFreshCondition)
	if fresh.Reason == v1alpha1.ReasonRefreshTokenExpiring && (was == nil || was.Reason != fresh.Reason) {
		p.event(corev1.EventTypeWarning, v1alpha1.EventRefreshTokenExpiring, "Refresh", "%s", fresh.Message)
	}
	p.announceSinks(meta.FindStatusCondition(before.Conditions, v1alpha1.SinksResolvedCondition))
}

func (p *pass) event(eventType, reason, action, note string, args ...any) {
	p.Recorder.Eventf(p.ch, nil, eventType, reason, action, note, args...)
}

func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	mt := metav1.NewTime(t.Truncate(time.Second))
	return &mt
}
