package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// callTimeout bounds one call to TikTok. It is well below token.ClaimLifetime, so that a call has ended before another manager may begin.
const callTimeout = 20 * time.Second

// A call may begin as late as token.ClaimUsable after the claim: this does not compile where it could then outlast the claim.
const _ = uint64(token.ClaimLifetime - token.ClaimUsable - callTimeout)

// settleTokens imports or refreshes tokens if that is due now.
func (p *pass) settleTokens(ctx context.Context) error {
	if p.app == nil || p.o.secret != nil {
		p.decide()
		return nil
	}
	if p.o.suspended {
		p.leaveQueue(p.app, p.ch)
	}
	if p.imp != nil {
		st := token.State{}
		if p.snap != nil {
			st = p.snap.State
		}
		in := p.input(p.imp.tokens, st)
		in.RefreshRequest, in.State.Removal = "", nil // they are about the channel's own tokens
		if d := token.Decide(in); d.Action == token.Refresh {
			if err := p.renew(ctx, p.imp); err != nil {
				return err
			}
		} else if d.At.After(p.o.now) {
			p.wakes = append(p.wakes, d.At)
		}
		p.decide()
		return nil
	}
	if p.o.tokens != nil && token.Decide(p.input(*p.o.tokens, p.snap.State)).Action == token.Refresh {
		if err := p.renew(ctx, nil); err != nil {
			return err
		}
	}
	p.decide()
	return nil
}

// leaveQueue gives back the turns that a channel waits for at the app's rate limit, when it does not want them any more: those who wait for
// an answer need not stand behind them.
func (r *TiktokChannelReconciler) leaveQueue(app *v1alpha1.TiktokApp, ch *v1alpha1.TiktokChannel) {
	limiter, key := r.Apps.Limiter(app), client.ObjectKeyFromObject(ch).String()
	for _, call := range []string{"", "import ", "profile "} {
		limiter.Release(call + key)
	}
}

// decide looks at what the channel has now.
func (p *pass) decide() {
	p.o.decision = token.Decision{}
	if p.o.tokens != nil {
		p.o.decision = token.Decide(p.input(*p.o.tokens, p.snap.State))
	}
}

// renew spends one refresh token, the channel's own or the one to be imported: place in the queue, claim, journal, one call, store.
func (p *pass) renew(ctx context.Context, imp *importCandidate) error {
	if wait := p.Apps.Limiter(p.app).Reserve(p.key().String()); wait > 0 {
		p.wakeIn(wait)
		return nil
	}
	c, err := p.Apps.Client(ctx, p.app)
	var missing *appclient.MissingError
	if errors.As(err, &missing) {
		p.Suspects.Add(p.app.Name)
		return nil
	}
	if err != nil {
		return err
	}
	claimed, err := p.Store.Claim(ctx, p.ch, p.snap)
	if err != nil {
		return p.notClaimed(ctx, err)
	}
	p.setSnapshot(claimed.Base())
	if err := claimed.Begin(); err != nil {
		return errors.Join(err, claimed.Release(ctx, p.snap.State.Memory))
	}
	spent := p.snap.Tokens.RefreshToken
	if imp != nil {
		spent = imp.tokens.RefreshToken
	}
	requestedAt := p.Clock.Now()
	answer, err := p.call(ctx, c, spent)
	if err != nil {
		return p.failed(ctx, c, claimed, imp, spent, err)
	}
	return p.succeeded(ctx, claimed, imp, token.FromTikTok(answer, requestedAt))
}

// call is the one call. A shutdown does not cut it: its answer may be the only copy of the new token.
func (p *pass) call(ctx context.Context, c *tiktok.Client, spent tiktok.Secret) (*tiktok.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return c.Granted().RefreshToken(ctx, spent)
}

func (p *pass) notClaimed(ctx context.Context, err error) error {
	var (
		claimedErr  *tokenstore.ClaimedError
		notWritable *tokenstore.NotWritableError
	)
	switch {
	case errors.Is(err, tokenstore.ErrChanged):
		// The cache may be behind: what the Secret says now decides.
		snap, err := p.Store.GetLive(ctx, p.ch)
		if err != nil {
			return err
		}
		p.setSnapshot(snap)
		return errAgain
	case errors.As(err, &claimedErr):
		p.wakes = append(p.wakes, claimedErr.Until)
		return nil
	case errors.As(err, &notWritable):
		p.wakeIn(pollForeign)
		p.o.secret = &problem{Reason: v1alpha1.ReasonTokenSecretNotWritable, Stalled: true, Message: notWritable.Error()}
		return nil
	}
	return err
}

func (p *pass) succeeded(ctx context.Context, claimed *tokenstore.Claimed, imp *importCandidate, t token.Tokens) error {
	base := claimed.Base()
	p.named(t.BusinessID)
	// TikTok may leave out what it said before.
	if t.BusinessID == "" {
		t.BusinessID = base.Tokens.BusinessID
	}
	if len(t.Scopes) == 0 {
		t.Scopes = base.Tokens.Scopes
	}
	memory := p.handled(base.State.Memory).Succeeded()
	if imp == nil {
		// It was asked for by a person who knew better than TikTok's word that the authorization is over.
		memory = memory.Outlived(time.Time{}, base.State.Removal)
	} else {
		memory.ImportDigest = imp.digest
		if keep := p.keepOwn(ctx, base, t); keep != "" {
			p.event(corev1.EventTypeWarning, v1alpha1.EventImportIgnored, "Import", "%s", keep)
			p.Metrics.refreshed(resultImportIgnored)
			return p.release(ctx, claimed, memory)
		}
		memory = memory.Outlived(t.ObtainedAt, base.State.Removal)
	}
	result, snap := claimed.Save(ctx, t, memory)
	p.log.Info("TikTok issued new tokens", "result", result, "imported", imp != nil, "expiresAt", t.AccessTokenExpiresAt)
	p.renewed = true
	p.setSnapshot(snap)
	switch {
	case result != tokenstore.Stored:
		p.Metrics.refreshed(resultSuperseded)
	case imp != nil:
		p.Metrics.refreshed(resultImported)
		p.event(corev1.EventTypeNormal, v1alpha1.EventImported, "Import", "Tokens were imported from Secret %s and refreshed.", imp.name)
	default:
		p.Metrics.refreshed(resultSucceeded)
		if p.ch.RefreshRequest() != "" || base.State.Failures != nil || base.State.Refusal != nil ||
			base.State.Removal != nil {
			// A routine refresh is not worth an event: it would be a write a day for each channel, and noise.
			p.event(corev1.EventTypeNormal, v1alpha1.EventRefreshed, "Refresh", "The tokens were refreshed.")
		}
	}
	return nil
}

// handled remembers that the refresh annotation was answered.
func (p *pass) handled(m token.Memory) token.Memory {
	if p.imp == nil && p.ch.RefreshRequest() != "" {
		m.HandledRequest = p.ch.RefreshRequest()
	}
	return m
}

// failed settles a call that brought no tokens.
func (p *pass) failed(ctx context.Context, c *tiktok.Client, claimed *tokenstore.Claimed, imp *importCandidate, spent tiktok.Secret,
	err error,
) error {
	memory := p.handled(claimed.Base().State.Memory)
	outcome := token.AfterFailure(err)
	if outcome == token.CheckApp {
		outcome, err = p.checkApp(ctx, c, err)
	}
	p.log.Info("TikTok issued no tokens", "outcome", outcome, "reason", words(err))
	switch outcome {
	case token.BlameApp:
		p.Metrics.refreshed(resultAppRefused)
		p.Suspects.Add(p.app.Name)
		// Nothing is remembered against the channel: it goes on as soon as the app is good again.
		return p.release(ctx, claimed, claimed.Base().State.Memory)
	case token.CheckApp: // the app is good, so the token is dead
		p.Metrics.refreshed(resultRefused)
		return p.refused(ctx, claimed, imp, spent, memory, err)
	case token.PauseApp:
		pause := p.Apps.Throttled(p.app, err)
		p.Metrics.refreshed(resultRateLimited)
		return p.release(ctx, claimed, memory.Failed(p.o.now, p.ch.Generation, v1alpha1.ReasonRateLimited,
			"TikTok throttles the app: "+words(err), p.random(), pause))
	default:
		p.Metrics.refreshed(resultFailed)
		memory = memory.Failed(p.o.now, p.ch.Generation, v1alpha1.ReasonRefreshFailing,
			"A refresh failed in passing and is tried again: "+words(err), p.random(), 0)
		if memory.Failures.Count == 1 {
			p.event(corev1.EventTypeWarning, v1alpha1.EventRefreshFailed, "Refresh", "%s", memory.Failures.Message)
		}
		return p.release(ctx, claimed, memory)
	}
}

// checkApp asks TikTok whether the app's own credentials are good right now. Only then is a refusal the channel's. The error is what the
// outcome comes from: the refusal, or that TikTok throttles the question.
func (p *pass) checkApp(ctx context.Context, c *tiktok.Client, refusal error) (token.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout/4)
	defer cancel()
	_, err := c.Webhook(ctx, string(p.app.EventTypes()[0]))
	switch tiktok.ClassOf(err) {
	case "":
		return token.CheckApp, refusal
	case tiktok.ClassTransient, tiktok.ClassMalformed:
		p.log.Info("TikTok refused a refresh, but whether it accepts the app cannot be checked now", "refusal", words(refusal))
		return token.Retry, refusal
	case tiktok.ClassRateLimited:
		return token.PauseApp, err
	default:
		return token.BlameApp, refusal
	}
}

func (p *pass) refused(ctx context.Context, claimed *tokenstore.Claimed, imp *importCandidate, spent tiktok.Secret, memory token.Memory,
	err error,
) error {
	digest := token.Digest(p.key().String(), spent)
	if imp == nil {
		return p.release(ctx, claimed, memory.Refused(p.o.now, p.ch.Generation, v1alpha1.ReasonRefreshTokenRefused, fmt.Sprintf(
			"TikTok refused the refresh token although it accepts the app (%s): the business disconnected the app, or the token was spent "+
				"elsewhere.", words(err)), digest))
	}
	memory.ImportDigest = imp.digest
	message := fmt.Sprintf("TikTok refused the refresh token of Secret %s (%s): it was spent elsewhere, or is another app's.", imp.name, words(err))
	if claimed.Base().HasRefreshToken() {
		p.event(corev1.EventTypeWarning, v1alpha1.EventImportIgnored, "Import", "%s The channel keeps the tokens it has.", message)
		return p.release(ctx, claimed, memory)
	}
	p.o.imported = importRefused(message)
	return p.release(ctx, claimed, memory.Refused(p.o.now, p.ch.Generation, v1alpha1.ReasonImportRefused, message, digest))
}

// release ends the claim and takes over what the Secret now says. If it cannot be written, the claim ends by itself; what was learned is
// then learned again.
func (p *pass) release(ctx context.Context, claimed *tokenstore.Claimed, memory token.Memory) error {
	err := claimed.Release(ctx, memory)
	p.setSnapshot(claimed.Base())
	if err != nil {
		p.log.Error(err, "The claim could not be released; it ends by itself")
		return errAgain
	}
	return nil
}

func isInUse(err error) bool {
	var e *reservation.InUseError
	return errors.As(err, &e)
}
