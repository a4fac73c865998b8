package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// attempt is one authorization from its code on.
type attempt struct {
	*Handler
	link tickets.Link
	ch   *v1alpha1.TiktokChannel
	app  *app

	tokens token.Tokens
	// account is what people call the TikTok account: its @username, or its id where that is not known.
	account string
}

// run turns a code into stored tokens. It returns nil when they are stored.
func (a *attempt) run(ctx context.Context, code string) *outcome {
	if o := a.exchange(ctx, code); o != nil {
		return o
	}
	a.readProfile(ctx)
	if missing := token.Missing(a.tokens.Scopes, a.app.Spec.Scopes); len(a.tokens.Scopes) > 0 && len(missing) > 0 {
		a.discard(ctx)
		return scopesMissing(a.ch, a.account, missing)
	}
	return a.settle(ctx)
}

// exchange spends the code. It is repeated only where the request provably did not reach TikTok.
func (a *attempt) exchange(ctx context.Context, code string) *outcome {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	const tries = 3
	for try := 1; ; try++ {
		requestedAt := a.opts.Clock.Now()
		answer, err := a.app.client.ExchangeCode(ctx, code, a.app.redirectURI())
		if err == nil {
			a.tokens = token.FromTikTok(answer, requestedAt)
			return a.identify(ctx)
		}
		var e *tiktok.Error
		if notSent := errors.As(err, &e) && e.NotSent; !notSent || try == tries || !a.pause(ctx, 500*time.Millisecond) {
			return exchangeFailed(a.ch, err)
		}
	}
}

// identify learns what TikTok left out of its answer. Without knowing whose tokens they are, nothing can be done with them; scopes that stay
// unknown are not held against anybody.
func (a *attempt) identify(ctx context.Context) *outcome {
	if a.tokens.BusinessID != "" && len(a.tokens.Scopes) > 0 {
		return nil
	}
	info, err := a.app.client.TokenInfo(ctx, a.tokens.AccessToken)
	if err == nil {
		if a.tokens.BusinessID == "" {
			a.tokens.BusinessID = info.CreatorID
		}
		if len(a.tokens.Scopes) == 0 {
			a.tokens.Scopes = info.Scopes
		}
	}
	if a.tokens.BusinessID == "" {
		if err == nil {
			err = &tiktok.Error{Class: tiktok.ClassMalformed, Endpoint: "tt_user/token_info/get/", Message: "TikTok did not say whose tokens they are"}
		}
		return exchangeFailed(a.ch, err)
	}
	return nil
}

// readProfile gives the account the name that people know. It is never worth a failure: the manager reads it again for the status.
func (a *attempt) readProfile(ctx context.Context) {
	a.account = sentence(a.tokens.BusinessID)
	ctx, cancel := context.WithTimeout(ctx, profileTimeout)
	defer cancel()
	profile, err := a.app.client.BusinessProfile(ctx, a.tokens.AccessToken, a.tokens.BusinessID)
	switch {
	case err != nil:
		a.opts.Log.V(1).Info("The business's profile could not be read", "namespace", a.ch.Namespace, "name", a.ch.Name, "reason", err.Error())
	case profile.Username != "":
		a.account = "@" + sentence(profile.Username)
	}
}

// wanted is the business that the channel is for, "" if for any. A channel that is not pinned but has an account keeps it: another account's
// messages would be mixed into its history.
func (a *attempt) wanted(ctx context.Context) (business string, err error) {
	if a.ch.Spec.BusinessID != "" {
		return a.ch.Spec.BusinessID, nil
	}
	if a.ch.Status.BusinessID != "" {
		return a.ch.Status.BusinessID, nil
	}
	// The status may be behind the Secret, after an import for instance.
	return a.stored(ctx)
}

// stored is the business of the tokens that the channel has now, "" if it has none.
func (a *attempt) stored(ctx context.Context) (string, error) {
	snap, err := a.opts.Tokens.GetLive(ctx, a.ch)
	if err != nil || snap == nil {
		return "", err
	}
	return snap.Tokens.BusinessID, nil
}

// nameOf is how a page names the business that the channel is for.
func (a *attempt) nameOf(business string) string {
	if business == a.ch.Status.BusinessID && a.ch.Status.Username != "" {
		return "@" + sentence(a.ch.Status.Username)
	}
	return sentence(business)
}

// pause waits, unless ctx ends first.
func (a *attempt) pause(ctx context.Context, d time.Duration) bool {
	timer := a.opts.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// persistently does work again until it succeeds, fails for good or ctx ends.
func (a *attempt) persistently(ctx context.Context, what string, work func() (final *outcome, err error)) *outcome {
	for try := 1; ; try++ {
		final, err := work()
		if err == nil {
			return final
		}
		if !a.pause(ctx, min(2*time.Second, 50*time.Millisecond<<min(try, 6))) {
			return notStored(a.ch, fmt.Errorf("%s: %w (%w)", what, err, ctx.Err()))
		}
		a.opts.Log.Info("An authorization waits for the API server", "namespace", a.ch.Namespace, "name", a.ch.Name, "attempt", try, "reason", err.Error())
	}
}
