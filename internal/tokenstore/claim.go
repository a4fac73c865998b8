package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// ClaimedError says that another process is refreshing the channel.
type ClaimedError struct {
	// Until is when its claim ends at the latest.
	Until time.Time
}

// Error implements error.
func (e *ClaimedError) Error() string {
	return "another manager is refreshing this channel until " + e.Until.UTC().Format(time.RFC3339)
}

// ErrChanged says that the Secret is no longer what was read: read it again and decide anew.
var ErrChanged = errors.New("the token Secret changed")

// NotWritableError says that the Secret cannot be written, so that no refresh may be risked. Its text is a sentence for a condition.
type NotWritableError struct {
	Name   string
	Reason string
}

// Error implements error.
func (e *NotWritableError) Error() string {
	return fmt.Sprintf("The token Secret %s cannot be written (%s), so no refresh is risked: its new token would be lost.", e.Name, e.Reason)
}

// Claimed is a claim on a token Secret: the right to refresh it once. End it with Store or Release.
type Claimed struct {
	store   *Store
	channel *v1alpha1.TiktokChannel
	base    *Snapshot // as claimed
	digest  string    // of the refresh token at that time
	done    sync.Once
}

// Base is the Secret as it was claimed.
func (c *Claimed) Base() *Snapshot { return c.base }

// Claim claims the token Secret that was read as snap (nil: there is none; an empty one is made). The claim is the proof that the Secret can
// be written and is still what was read: ErrChanged says that it is not, a *ClaimedError that another process was first, a *NotWritableError
// that it must not be tried.
func (s *Store) Claim(ctx context.Context, ch *v1alpha1.TiktokChannel, snap *Snapshot) (*Claimed, error) {
	now := s.opts.Clock.Now()
	claim := &token.Claim{Holder: s.opts.Holder, Time: now.UTC()}
	if snap == nil {
		return s.claimNew(ctx, ch, claim)
	}
	if until := snap.State.HeldBy(s.opts.Holder, now); !until.IsZero() {
		return nil, &ClaimedError{Until: until}
	}
	if ptr.Deref(snap.Secret.Immutable, false) {
		return nil, &NotWritableError{Name: snap.Secret.Name, Reason: "it is immutable"}
	}
	secret := snap.Secret.DeepCopy()
	st := snap.State
	st.Claim = claim
	if err := st.Encode(secret); err != nil {
		return nil, err
	}
	if err := s.opts.Client.Update(ctx, secret); err != nil {
		return nil, claimError(secret, err)
	}
	return s.claimed(ch, secret), nil
}

func (s *Store) claimNew(ctx context.Context, ch *v1alpha1.TiktokChannel, claim *token.Claim) (*Claimed, error) {
	secret := s.empty(ch)
	st := token.State{Epoch: ch.Status.AuthorizationEpoch, Claim: claim}
	if err := st.Encode(secret); err != nil {
		return nil, err
	}
	if err := s.opts.Client.Create(ctx, secret); err != nil {
		return nil, claimError(secret, err)
	}
	return s.claimed(ch, secret), nil
}

func claimError(secret *corev1.Secret, err error) error {
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return ErrChanged
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return &NotWritableError{Name: secret.Name, Reason: string(apierrors.ReasonForError(err))}
	default:
		return fmt.Errorf("claiming the token Secret: %w", err)
	}
}

func (s *Store) claimed(ch *v1alpha1.TiktokChannel, secret *corev1.Secret) *Claimed {
	s.pending.Add(1)
	base := snapshot(secret)
	return &Claimed{store: s, channel: ch, base: base, digest: token.Digest(channelName(ch), base.Tokens.RefreshToken)}
}

func channelName(ch *v1alpha1.TiktokChannel) string { return ch.Namespace + "/" + ch.Name }

// Begin writes down in the journal that TikTok is about to be called. If that fails, do not call: the answer could be lost, or another
// manager, to which the claim looks abandoned, has spent the token.
func (c *Claimed) Begin() error {
	if err := c.store.opts.Journal.Write(c.entry(nil, c.base.State.Memory)); err != nil {
		return fmt.Errorf("preparing the journal for TikTok's answer: %w", err)
	}
	if age := c.store.opts.Clock.Since(c.base.State.Claim.Time); age > token.ClaimUsable {
		c.store.opts.Log.Info("A claim was confirmed too late to be used: TikTok is not called", "channel", channelName(c.channel),
			"age", age.Round(time.Millisecond).String())
		return fmt.Errorf("the claim is %s old, too much to call TikTok: others respect it for %s", age.Round(time.Second), token.ClaimLifetime)
	}
	return nil
}

func (c *Claimed) entry(t *token.Tokens, memory token.Memory) journal.Entry {
	return journal.Entry{
		Namespace: c.channel.Namespace, Name: c.channel.Name, UID: string(c.channel.UID),
		BaseDigest: c.digest, Memory: memory, Tokens: t, StartedAt: c.base.State.Claim.Time,
	}
}

// Release ends a claim without new tokens, remembering what memory says. It is tried for a short while only: a claim that cannot be released
// ends by itself.
func (c *Claimed) Release(ctx context.Context, memory token.Memory) error {
	defer c.finish()
	secret := c.base.Secret.DeepCopy()
	st := c.base.State
	st.Claim, st.Memory = nil, memory
	if err := st.Encode(secret); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.store.opts.Client.Update(ctx, secret); err != nil {
		return fmt.Errorf("releasing the claim on the token Secret: %w", err)
	}
	c.base = snapshot(secret)
	return nil
}

func (c *Claimed) finish() {
	c.done.Do(func() {
		if err := c.store.opts.Journal.Remove(string(c.channel.UID)); err != nil {
			c.store.opts.Log.Error(err, "A journal entry could not be removed; it is ignored at the next start", "channel", channelName(c.channel))
		}
		c.store.pending.Done()
	})
}
