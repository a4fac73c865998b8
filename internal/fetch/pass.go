package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// pass is one reading of a channel's conversations, or an attempt that finds that another's will do.
type pass struct {
	*Worker
	job     eventlog.Job
	try     try
	want    wanted
	app     *v1alpha1.TiktokApp
	channel *v1alpha1.TiktokChannel
	state   *channel

	client      *tiktok.Client
	accessToken tiktok.Secret
	// floor is the time from which on conversations that changed are read: want.floor, or an earlier one where something was missed.
	floor      time.Time
	incomplete bool
}

// attempt finds the job's message: among what was seen before, or else by reading the conversations.
func (p *pass) attempt(ctx context.Context) outcome {
	found, err := p.found(ctx)
	switch {
	case err != nil:
		return outcome{result: resultFailed, again: true, err: err}
	case found:
		return p.seen(resultShared)
	}
	now := p.opts.Clock.Now()
	if !p.state.covered(p.try, p.want, now) {
		if failed := p.look(ctx, now); failed != nil {
			return *failed
		}
		if found, err = p.found(ctx); err != nil {
			return outcome{result: resultFailed, again: true, err: err}
		}
	}
	if found {
		return p.seen(resultFetched)
	}
	err = errors.New("no conversation shows a message of the event's time that is not another event's")
	p.try.passes = p.state.begun.Load()
	if p.try.looks++; p.try.looks < patience {
		return outcome{result: resultNothingYet, again: true, err: err}
	}
	p.state.miss(p.want.at, now)
	if p.try.incomplete || p.state.done.incomplete || !p.state.cut.Before(p.want.from) {
		return outcome{result: resultIncomplete, err: err}
	}
	return outcome{result: resultNothing, err: err}
}

// seen is the outcome where the message was seen.
func (p *pass) seen(r result) outcome {
	switch {
	case p.try.incomplete:
		r = resultIncomplete
	case p.try.looks > 0: // whoever it was that saw it
		r = resultFetched
	}
	return outcome{result: r}
}

// look reads the conversations with the token that the channel has now; nil if that came to its end.
func (p *pass) look(ctx context.Context, now time.Time) *outcome {
	accessToken, waiting := p.token(ctx)
	if waiting != nil {
		return waiting
	}
	client, err := p.opts.Apps.Client(ctx, p.app)
	if err != nil {
		return &outcome{result: resultFailed, again: true, err: err}
	}
	p.client, p.accessToken, p.floor = client, accessToken, p.want.floor
	missed := p.state.missedSince(now)
	if wide := missed.Add(-margin); !missed.IsZero() && wide.Before(p.floor) && now.Sub(p.state.lagLooked) >= lagInterval {
		p.floor = wide
	}
	number := p.state.begun.Add(1)
	if err := p.read(ctx); err != nil {
		failed := p.failed(err)
		return &failed
	}
	if p.floor.Before(p.want.floor) {
		p.state.lagLooked = now
	}
	done := &p.state.done
	done.number, done.begun, done.floor, done.incomplete = number, now, p.floor, p.incomplete
	p.try.incomplete = p.try.incomplete || p.incomplete
	return nil
}

// token is the channel's access token, if it can be used. Otherwise the job waits for a refresh or an authorization, which are not its business.
func (p *pass) token(ctx context.Context) (tiktok.Secret, *outcome) {
	wait := func(reason string) *outcome {
		return &outcome{result: resultNoToken, again: true, err: errors.New(reason)}
	}
	snap, err := p.opts.Tokens.GetLive(ctx, p.channel)
	var notOwned *tokenstore.NotOwnedError
	switch {
	case errors.As(err, &notOwned):
		return "", wait("the token Secret is not the channel's own")
	case err != nil:
		return "", &outcome{result: resultFailed, again: true, err: err}
	case snap == nil || snap.Tokens.AccessToken == "":
		return "", wait("the channel has no access token")
	case snap.Tokens.BusinessID != "" && snap.Tokens.BusinessID != p.job.BusinessID:
		return "", wait("the token Secret holds tokens of another business")
	}
	expires := snap.Tokens.AccessTokenExpiresAt
	switch {
	case !expires.IsZero() && !p.opts.Clock.Now().Before(expires):
		return "", wait("the access token has expired")
	case p.digest(snap.Tokens.AccessToken) == p.state.refused:
		return "", wait("TikTok refused the access token")
	}
	return snap.Tokens.AccessToken, nil
}

func (p *pass) digest(s tiktok.Secret) string { return token.Digest(p.job.ChannelUID, s) }

// failed says what an error means for the job.
func (p *pass) failed(err error) outcome {
	var called *tiktok.Error
	if !errors.As(err, &called) {
		return outcome{result: resultFailed, again: true, err: err}
	}
	switch called.Class {
	case tiktok.ClassRateLimited:
		until := p.opts.Clock.Now().Add(called.RetryAfter)
		p.opts.Apps.Limiter(p.app).Pause(until)
		return outcome{result: resultRateLimited, again: true, after: called.RetryAfter, err: err}
	case tiktok.ClassTokenRefused:
		p.state.refused = p.digest(p.accessToken)
		return outcome{result: resultNoToken, again: true, err: err}
	case tiktok.ClassPermanent, tiktok.ClassScopeMissing, tiktok.ClassCodeRefused:
		return outcome{result: resultRefused, err: err}
	}
	if called.NotSent && errors.Is(err, context.DeadlineExceeded) { // no permit within the attempt
		return outcome{result: resultRateLimited, again: true, err: err}
	}
	return outcome{result: resultFailed, again: true, err: err}
}

// permit waits for the turn of a call within the share of fetches. The client takes the permit of the app's own limiter.
func (p *pass) permit(ctx context.Context) error {
	if err := p.share(p.app).Wait(ctx); err != nil {
		return fmt.Errorf("waiting for a permit: %w", err)
	}
	return nil
}
