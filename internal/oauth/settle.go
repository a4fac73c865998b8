package oauth

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// settle decides whether the tokens may be the channel's, reserves their business and stores them. While the API server is away it tries
// again until ctx ends.
func (a *attempt) settle(ctx context.Context) *outcome {
	if o := a.persistently(ctx, "looking at the channel again", func() (*outcome, error) { return a.recheck(ctx) }); o != nil {
		a.discard(ctx)
		return o
	}
	o := a.persistently(ctx, "reserving the business", func() (*outcome, error) { return a.hold(ctx) })
	if o == nil {
		o = a.store(ctx)
	}
	if o == nil {
		o = a.confirm(ctx)
	}
	// An account in use is another channel's, which lives by the same permission: nothing of it is touched.
	if o != nil && o.result != ResultAccountInUse {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		a.release(cleanup)
		a.revoke(cleanup)
	}
	return o
}

// recheck looks at the channel once more: the person was away for minutes, and TikTok for seconds.
func (a *attempt) recheck(ctx context.Context) (*outcome, error) {
	ch := &v1alpha1.TiktokChannel{}
	err := a.opts.Reader.Get(ctx, client.ObjectKeyFromObject(a.ch), ch)
	switch {
	case apierrors.IsNotFound(err):
		return channelGone(a.ch.Namespace, a.ch.Name), nil
	case err != nil:
		return nil, fmt.Errorf("reading the channel: %w", err)
	case string(ch.UID) != a.link.UID || !ch.DeletionTimestamp.IsZero():
		return channelGone(a.ch.Namespace, a.ch.Name), nil
	}
	a.ch = ch
	wanted, err := a.wanted(ctx)
	var notOwned *tokenstore.NotOwnedError
	switch {
	case errors.As(err, &notOwned):
		return a.secretUnusable(err), nil
	case err != nil:
		return nil, err
	case wanted != "" && wanted != a.tokens.BusinessID:
		return wrongAccount(ch, a.account, a.nameOf(wanted)), nil
	}
	return nil, nil
}

// hold reserves the business: of two channels that race for it, in whatever namespaces, one gets it.
func (a *attempt) hold(ctx context.Context) (*outcome, error) {
	err := a.opts.Reservations.Hold(ctx, a.tokens.BusinessID, a.ch)
	var inUse *reservation.InUseError
	if errors.As(err, &inUse) {
		return accountInUse(a.ch, a.account, inUse.Namespace, inUse.Name, err), nil
	}
	return nil, err
}

// store writes the tokens.
func (a *attempt) store(ctx context.Context) *outcome {
	err := a.opts.Tokens.Authorize(ctx, a.ch, a.tokens, a.link.Epoch)
	var (
		epoch       *tokenstore.EpochError
		notOwned    *tokenstore.NotOwnedError
		notWritable *tokenstore.NotWritableError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &epoch):
		o := linkSuperseded(a.ch)
		o.cause = err
		return o
	case errors.As(err, &notOwned), errors.As(err, &notWritable):
		return a.secretUnusable(err)
	case a.gotThrough(ctx):
		return nil
	default:
		return notStored(a.ch, err)
	}
}

// confirm asks for the business once more, now that its tokens are stored: a process that slept for long may have lost it to another channel,
// and a failed attempt for this channel may have given it up.
func (a *attempt) confirm(ctx context.Context) *outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	o, err := a.hold(ctx)
	if err != nil {
		a.opts.Log.Error(err, "Whether a business is still reserved could not be seen after its tokens were stored; the manager sees to it",
			"namespace", a.ch.Namespace, "name", a.ch.Name, "business", a.tokens.BusinessID)
		return nil
	}
	return o
}

// gotThrough says whether a write whose answer was lost is in place after all.
func (a *attempt) gotThrough(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	snap, err := a.opts.Tokens.GetLive(ctx, a.ch)
	return err == nil && snap != nil && snap.Tokens.RefreshToken == a.tokens.RefreshToken
}

func (a *attempt) secretUnusable(cause error) *outcome {
	return secretUnusable(a.ch, cause, "TikTok gave its permission, but it could not be kept. The account is not connected.")
}

// keeps says whether the business is this channel's in any case: it held it before, another authorization of the same account was first, or
// a write got through although its answer did not.
func (a *attempt) keeps(ctx context.Context) (bool, error) {
	if a.ch.Status.BusinessID == a.tokens.BusinessID {
		return true, nil
	}
	stored, err := a.stored(ctx)
	var notOwned *tokenstore.NotOwnedError
	if errors.As(err, &notOwned) {
		return false, nil
	}
	return stored == a.tokens.BusinessID, err
}

// release gives the reservation up after the tokens could not be stored, unless the business is the channel's in any case. Where that cannot
// be found out the reservation stays for its grace: the channel's next authorization goes on with it.
func (a *attempt) release(ctx context.Context) {
	keeps, err := a.keeps(ctx)
	if err == nil && !keeps {
		err = a.opts.Reservations.Release(ctx, a.tokens.BusinessID, a.ch)
	}
	if err != nil {
		a.opts.Log.Error(err, "A reserved business could not be given up after a failed authorization; other channels cannot use it for "+
			"a quarter of an hour", "namespace", a.ch.Namespace, "name", a.ch.Name, "business", a.tokens.BusinessID)
	}
}

// discard gets rid of tokens for which nothing was reserved yet, also when the time for the callback is over.
func (a *attempt) discard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	a.revoke(ctx)
}

// revoke tells TikTok that tokens which nobody keeps are not wanted, as far as that can be known to hurt nobody. TikTok may end everything
// that the business granted to the app, not these tokens alone: so the tokens of a business that any channel holds, this one included, are
// left to expire. It is tried once; tokens that nobody has are harmless.
func (a *attempt) revoke(ctx context.Context) {
	if keeps, err := a.keeps(ctx); keeps || err != nil {
		return
	}
	if _, _, held, err := a.opts.Reservations.Holder(ctx, a.tokens.BusinessID); held || err != nil {
		return
	}
	log := a.opts.Log.WithValues("namespace", a.ch.Namespace, "name", a.ch.Name)
	if err := a.app.client.RevokeToken(ctx, a.tokens.AccessToken); err != nil {
		log.Info("Tokens that were refused could not be revoked at TikTok; they end by themselves", "reason", err.Error())
		return
	}
	log.V(1).Info("Tokens that were refused were revoked at TikTok")
}
