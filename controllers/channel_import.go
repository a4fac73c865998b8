package controllers

import (
	"context"
	"errors"
	"fmt"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// importCandidate is content of spec.importTokensFrom that has not been handled yet.
type importCandidate struct {
	name   string
	digest string
	tokens token.Tokens // the refresh token only: all else is learned from TikTok
}

// observeImport looks whether the user's Secret holds something new. Tokens are copied by refreshing them: that proves them, and makes the
// copy stale, so the same content must never be taken twice.
func (p *pass) observeImport(ctx context.Context) error {
	ref := p.ch.Spec.ImportTokensFrom
	if ref == nil || p.o.secret != nil {
		return nil
	}
	if ref.Name == p.ch.TokenSecretName() {
		p.o.imported = &problem{
			Reason: v1alpha1.ReasonImportSecretInvalid, Stalled: true,
			Message: fmt.Sprintf("spec.importTokensFrom names %s, which is the operator's own token Secret: name a Secret of yours.", ref.Name),
		}
		return nil
	}
	secret, err := p.readOptional(ctx, ref.Name)
	if err != nil {
		return err
	}
	if secret == nil {
		p.wakeIn(pollMissing)
		p.o.imported = &problem{
			Reason:  v1alpha1.ReasonImportSecretNotFound,
			Message: fmt.Sprintf("The Secret %s of spec.importTokensFrom does not exist yet.", ref.Name), Authorize: true,
		}
		return nil
	}
	p.wakeIn(pollImport)
	t, err := token.Decode(secret)
	if errors.Is(err, token.ErrNoRefreshToken) {
		p.o.imported = &problem{
			Reason: v1alpha1.ReasonImportSecretInvalid, Stalled: true, Authorize: true,
			Message: fmt.Sprintf("The Secret %s of spec.importTokensFrom has no key %q, or it is empty.", ref.Name, v1alpha1.RefreshTokenKey),
		}
		return nil
	}
	digest := token.ImportDigest(p.key().String(), secret)
	if p.alreadyHandled(t.RefreshToken, digest) {
		if r := p.importRefusal(); r != nil {
			p.o.imported = importRefused(r.Message)
		}
		return nil
	}
	if wanted := p.expectedBusiness(); wanted != "" && t.BusinessID != "" && t.BusinessID != wanted {
		p.o.imported = mismatch(wanted, t.BusinessID)
		return nil
	}
	p.imp = &importCandidate{name: ref.Name, digest: digest, tokens: token.Tokens{RefreshToken: t.RefreshToken}}
	return p.precheckImport(ctx, t.AccessToken)
}

func (p *pass) alreadyHandled(refreshToken tiktok.Secret, digest string) bool {
	return p.snap != nil && (p.snap.State.ImportDigest == digest || p.snap.Tokens.RefreshToken == refreshToken)
}

// importRefusal is the refusal of an import that left the channel without tokens.
func (p *pass) importRefusal() *token.Refusal {
	if p.snap == nil || p.snap.HasRefreshToken() {
		return nil
	}
	return p.snap.State.Refusal
}

func importRefused(message string) *problem {
	return &problem{
		Reason: v1alpha1.ReasonImportRefused, Stalled: true, Authorize: true,
		Message: message + " Put a current token there, or open status.authorizationURL.",
	}
}

// precheckImport asks TikTok whose an imported access token is, where a wrong answer would matter, before the refresh token is spent: a
// refresh of the wrong account's token would end the user's copy for nothing. An expired access token says nothing; the refresh then decides.
func (p *pass) precheckImport(ctx context.Context, accessToken tiktok.Secret) error {
	wanted := p.expectedBusiness()
	if wanted == "" || accessToken == "" || !p.appUsable() || p.ch.Spec.Suspend {
		return nil
	}
	if wait := p.Apps.Limiter(p.app).Reserve("import " + p.key().String()); wait > 0 {
		p.imp = nil
		p.wakeIn(wait)
		return nil
	}
	c, err := p.Apps.Client(ctx, p.app)
	if err != nil {
		return nil // the refresh meets the same error, and reports it
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := c.Granted().TokenInfo(ctx, accessToken)
	if err == nil && info.CreatorID != "" && info.CreatorID != wanted {
		p.imp = nil
		p.o.imported = mismatch(wanted, info.CreatorID)
	}
	return nil
}

// keepOwn says why imported tokens must not replace the ones that the channel has; "" if they may.
func (p *pass) keepOwn(ctx context.Context, base *tokenstore.Snapshot, t token.Tokens) string {
	if !base.HasRefreshToken() || t.BusinessID == "" {
		return ""
	}
	if wanted := p.expectedBusiness(); wanted != "" && wanted != t.BusinessID {
		return fmt.Sprintf("The imported tokens belong to business %s, this channel is for %s: the channel keeps the tokens it has.",
			t.BusinessID, wanted)
	}
	if p.unconfirmed(t.BusinessID) {
		return "" // TikTok did not say whose the imported tokens are
	}
	if isInUse(p.Reservations.Hold(ctx, t.BusinessID, p.ch)) {
		return "The imported tokens belong to a business that another channel holds: the channel keeps the tokens it has."
	}
	return ""
}
