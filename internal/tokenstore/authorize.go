package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// EpochError says that another authorization of the channel succeeded since the link was made.
type EpochError struct {
	Link, Current int64
}

// Error implements error.
func (e *EpochError) Error() string {
	return fmt.Sprintf("the authorization was started in epoch %d, but the channel is in epoch %d", e.Link, e.Current)
}

// Epoch is the channel's authorization epoch: it grows with each authorization that succeeds.
func (s *Store) Epoch(ctx context.Context, ch *v1alpha1.TiktokChannel) (int64, error) {
	snap, err := s.GetLive(ctx, ch)
	if err != nil {
		return 0, err
	}
	return epoch(ch, snap), nil
}

// epoch takes the greater of the two places: the Secret's is ahead until the manager has seen it, the status outlives the Secret.
func epoch(ch *v1alpha1.TiktokChannel, snap *Snapshot) int64 {
	if snap == nil {
		return ch.Status.AuthorizationEpoch
	}
	return max(ch.Status.AuthorizationEpoch, snap.State.Epoch)
}

// Authorize stores the tokens of an authorization that was started in the given epoch, and begins the next epoch. A refresh that is under
// way loses against it. It tries again until ctx ends. The error is an *EpochError if another authorization came first, a *NotOwnedError if
// the Secret is somebody else's, a *NotWritableError if it cannot be written; else the API server could not be reached in time.
func (s *Store) Authorize(ctx context.Context, ch *v1alpha1.TiktokChannel, t token.Tokens, linkEpoch int64) error {
	for attempt := 1; ; attempt++ {
		err := s.tryAuthorize(ctx, ch, t, linkEpoch)
		var (
			stale       *EpochError
			notOwned    *NotOwnedError
			notWritable *NotWritableError
		)
		if err == nil || errors.As(err, &stale) || errors.As(err, &notOwned) || errors.As(err, &notWritable) {
			return err
		}
		timer := s.opts.Clock.NewTimer(min(2*time.Second, 20*time.Millisecond<<min(attempt, 7)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("storing the authorization: %w (%w)", err, ctx.Err())
		case <-timer.C():
		}
	}
}

func (s *Store) tryAuthorize(ctx context.Context, ch *v1alpha1.TiktokChannel, t token.Tokens, linkEpoch int64) error {
	snap, err := s.GetLive(ctx, ch)
	if err != nil {
		return err
	}
	if snap != nil && snap.Tokens.RefreshToken == t.RefreshToken && snap.State.Epoch == linkEpoch+1 {
		return nil // an earlier try got through although its answer did not
	}
	if current := epoch(ch, snap); current != linkEpoch {
		return &EpochError{Link: linkEpoch, Current: current}
	}
	secret := s.empty(ch)
	if snap != nil {
		secret = snap.Secret.DeepCopy()
	}
	// What is remembered of the old tokens ends with them, TikTok's word of their removal too; what was imported stays imported.
	st := token.DecodeState(secret)
	st.Claim, st.Epoch, st.Memory = nil, linkEpoch+1, st.Authorized(t.ObtainedAt, st.Removal)
	setTokens(secret, t)
	if err := st.Encode(secret); err != nil {
		return err
	}
	if snap == nil {
		err = s.opts.Client.Create(ctx, secret)
	} else {
		err = s.opts.Client.Update(ctx, secret)
	}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return &NotWritableError{Name: secret.Name, Reason: string(apierrors.ReasonForError(err))}
	}
	if err != nil {
		return fmt.Errorf("writing the token Secret: %w", err)
	}
	return nil
}
