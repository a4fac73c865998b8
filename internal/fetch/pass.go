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

// wanted is what a job looks for.
type wanted struct {
	// at is when the event happened.
	at time.Time
	// floor is the time from which on messages are looked for.
	floor time.Time
}

func wantedBy(job eventlog.Job, now time.Time) wanted {
	at := job.ReceivedAt
	if envelope, err := tiktok.DecodeEnvelope(job.Body); err == nil {
		if !envelope.CreateTime.IsZero() {
			at = envelope.CreateTime
		}
		if content, err := tiktok.DecodeMessageContent(envelope.Content); err == nil && !content.Timestamp.IsZero() {
			at = content.Timestamp
		}
	}
	if at.IsZero() || at.After(now) { // a clock is wrong
		at = now
	}
	floor, oldest := at.Add(-margin), now.Add(-horizon)
	if floor.Before(oldest) {
		floor = oldest
	}
	return wanted{at: at, floor: floor}
}

// pass is one reading of a channel's conversations.
type pass struct {
	*Worker
	job     eventlog.Job
	want    wanted
	app     *v1alpha1.TiktokApp
	channel *v1alpha1.TiktokChannel
	state   *channel

	client      *tiktok.Client
	accessToken tiktok.Secret
	incomplete  bool
}

// pass reads the conversations with the token that the channel has now.
func (w *Worker) pass(ctx context.Context, p *pass) outcome {
	accessToken, waiting := p.token(ctx)
	if waiting != nil {
		return *waiting
	}
	client, err := w.opts.Apps.Client(ctx, p.app)
	if err != nil {
		return outcome{result: resultFailed, again: true, err: err}
	}
	p.client, p.accessToken = client, accessToken
	number := p.state.begun.Add(1)
	if err := p.read(ctx); err != nil {
		return p.failed(err)
	}
	p.state.done.number, p.state.done.floor = number, p.want.floor
	switch {
	case !p.state.found(p.want):
		err := errors.New("no conversation shows a message as new as the event")
		if p.job.Attempt < patience {
			return outcome{result: resultNothingYet, again: true, err: err}
		}
		return outcome{result: resultNothing, err: err}
	case p.incomplete:
		return outcome{result: resultIncomplete}
	default:
		return outcome{result: resultFetched}
	}
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
