package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// pollUnnamed is how long an answer of TikTok's that named no business stands before TikTok is asked again.
const pollUnnamed = time.Hour

// observeBusiness looks who but the token Secret says whose its tokens are. Whoever may write Secrets in a namespace may write another
// tenant's business id into one, and the business decides where events go. The status and the Lease are the operator's own: they name a
// business only after TikTok did.
func (p *pass) observeBusiness(ctx context.Context) error {
	if p.o.tokens == nil || p.o.tokens.BusinessID == "" || p.ch.Status.BusinessID != "" {
		return nil
	}
	holds, err := p.Reservations.Holds(ctx, p.o.tokens.BusinessID, p.ch)
	if p.o.identity = inUse(err); p.o.identity != nil {
		p.wakeIn(pollForeign)
		return nil
	}
	if holds {
		p.confirmed = p.o.tokens.BusinessID
	}
	return err
}

// unconfirmed says whether only the token Secret says that the tokens are those of the business.
func (p *pass) unconfirmed(business string) bool {
	return business != "" && business != p.ch.Status.BusinessID && business != p.confirmed
}

// mayConfirm says whether a refresh now could tell whose tokens are, and matters.
func (p *pass) mayConfirm(business string) bool {
	if wanted := p.expectedBusiness(); !p.unconfirmed(business) || p.o.identity != nil || (wanted != "" && wanted != business) {
		return false
	}
	last, asked := p.unnamedAt.Load(p.ch.UID)
	return !asked || p.o.now.Sub(last.(time.Time)) >= pollUnnamed
}

// named takes over whose tokens TikTok has just issued; "" if it did not say.
func (p *pass) named(business string) {
	if business == "" {
		p.unnamedAt.Store(p.ch.UID, p.o.now)
		return
	}
	p.unnamedAt.Delete(p.ch.UID)
	p.confirmed = business
}

// settleBusiness makes sure that the tokens' business may be this channel's, and that no other channel holds it.
func (p *pass) settleBusiness(ctx context.Context) error {
	if p.o.tokens == nil || p.o.tokens.BusinessID == "" {
		return nil
	}
	business := p.o.tokens.BusinessID
	if wanted := p.expectedBusiness(); wanted != "" && wanted != business {
		p.o.identity = mismatch(wanted, business)
		return nil
	}
	if p.ch.Status.BusinessID == business && !p.renewed {
		return nil // held already; a refresh looks again
	}
	if p.unconfirmed(business) {
		p.wakeIn(pollForeign)
		if p.o.identity == nil && p.o.decision.Action != token.Person { // else that is what the person is told
			p.o.identity = notConfirmed(business, p.o.decision)
		}
		return nil
	}
	err := p.Reservations.Hold(ctx, business, p.ch)
	if problem := inUse(err); problem != nil {
		p.wakeIn(pollForeign)
		p.o.identity = problem
		return nil
	}
	if err != nil {
		return err
	}
	p.heldNow, p.o.identity = true, nil
	return nil
}

// expectedBusiness is the business that the channel is pinned to, or holds already; "" for any.
func (p *pass) expectedBusiness() string {
	if p.ch.Spec.BusinessID != "" {
		return p.ch.Spec.BusinessID
	}
	return p.ch.Status.BusinessID
}

func mismatch(wanted, got string) *problem {
	return &problem{
		Reason: v1alpha1.ReasonBusinessMismatch, Stalled: true, Authorize: true,
		Message: fmt.Sprintf("The tokens belong to business %s, but this channel is for business %s: authorize with the right account, "+
			"or create another channel.", got, wanted),
	}
}

func inUse(err error) *problem {
	if !isInUse(err) {
		return nil
	}
	// The other channel's name is not this namespace's business: it is in the operator's log.
	return &problem{
		Reason: v1alpha1.ReasonBusinessInUse, Stalled: true, Authorize: true,
		Message: "Another channel in this cluster holds this TikTok account; a business has one channel. Delete the other channel, " +
			"or authorize with another account.",
	}
}

func notConfirmed(business string, d token.Decision) *problem {
	return &problem{
		Reason: v1alpha1.ReasonBusinessUnconfirmed, Authorize: true,
		Message: fmt.Sprintf("The token Secret says that its tokens belong to business %s, which TikTok has not confirmed to this channel: "+
			"that takes a refresh. %s", business, d.Message),
	}
}
