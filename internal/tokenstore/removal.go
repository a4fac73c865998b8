package tokenstore

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// removalAttempts bounds how often a write that met another one is tried again at once.
const removalAttempts = 10

// MarkRemoved notes on the channel's token Secret that TikTok told of the end of the authorization of a business, and says whether that is
// news. It is none if the tokens are another business's, or of a later authorization, or if a later end was noted before. It is safe to
// repeat; after an error it must be.
func (s *Store) MarkRemoved(ctx context.Context, ch *v1alpha1.TiktokChannel, business string, removal token.Removal) (marked bool, err error) {
	for range removalAttempts {
		marked, err = s.tryMarkRemoved(ctx, ch, business, removal)
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	return marked, err
}

func (s *Store) tryMarkRemoved(ctx context.Context, ch *v1alpha1.TiktokChannel, business string, removal token.Removal) (bool, error) {
	snap, err := s.GetLive(ctx, ch)
	var notOwned *NotOwnedError
	if errors.As(err, &notOwned) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !snap.HasRefreshToken() || (snap.Tokens.BusinessID != "" && snap.Tokens.BusinessID != business) {
		return false, nil
	}
	st := snap.State
	if known := st.Removal; !removal.Concerns(st.Memory) || (known.Concerns(st.Memory) && !removal.Time.After(known.Time)) {
		return false, nil
	}
	st.Removal = &removal
	secret := snap.Secret.DeepCopy()
	if err := st.Encode(secret); err != nil {
		return false, err
	}
	if err := s.opts.Client.Update(ctx, secret); err != nil {
		return false, fmt.Errorf("noting on the token Secret that the authorization was removed: %w", err)
	}
	return true, nil
}
