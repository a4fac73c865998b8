package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// Result of storing an answer of TikTok.
type Result string

const (
	// Stored: the Secret holds the tokens.
	Stored Result = "Stored"
	// Superseded: the Secret holds newer tokens (somebody authorized the channel meanwhile); those stay.
	Superseded Result = "Superseded"
	// Gone: the channel, or its namespace, is being deleted and has no Secret any more: there is nowhere to store.
	Gone Result = "Gone"
)

// Save stores TikTok's answer. It goes to the journal first. Then the Secret is written, and tried again for as long as it takes, also when
// ctx is cancelled by a shutdown: the process must wait for it (WaitPending). An authorization that was stored meanwhile wins.
func (c *Claimed) Save(ctx context.Context, t token.Tokens, memory token.Memory) (Result, *Snapshot) {
	defer c.finish()
	ctx = context.WithoutCancel(ctx)
	if err := c.store.opts.Journal.Write(c.entry(&t, memory)); err != nil {
		// Not a reason to stop: the Secret is the better place anyway.
		c.store.opts.Log.Error(err, "TikTok's answer could not be journalled; it is stored directly", "channel", channelName(c.channel))
	}
	// Where the Secret has to be made anew, its epoch must not fall back: links of the epoch before would be good again.
	ch := c.channel.DeepCopy()
	ch.Status.AuthorizationEpoch = epoch(ch, c.base)
	// The Secret as claimed is written blindly first; only a conflict makes it worth reading.
	return c.store.persist(ctx, ch, c.base.Secret, c.digest, t, memory)
}

// persist writes tokens over the Secret as it was last seen (nil: not known), until it holds them or something newer.
func (s *Store) persist(ctx context.Context, ch *v1alpha1.TiktokChannel, seen *corev1.Secret, baseDigest string, t token.Tokens,
	memory token.Memory,
) (Result, *Snapshot) {
	log := s.opts.Log.WithValues("channel", channelName(ch))
	for attempt := 1; ; attempt++ {
		result, snap, err := s.tryPersist(ctx, ch, seen, baseDigest, t, memory)
		if err == nil {
			if attempt > 1 {
				log.Info("Refreshed tokens are settled", "result", result, "attempts", attempt)
			}
			return result, snap
		}
		seen = nil
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			if attempt < 10 {
				continue
			}
		}
		log.Error(err, "Refreshed tokens could not be stored yet; trying again until it succeeds", "attempt", attempt)
		s.opts.Clock.Sleep(min(5*time.Second, 100*time.Millisecond<<min(attempt, 6)))
	}
}

func (s *Store) tryPersist(ctx context.Context, ch *v1alpha1.TiktokChannel, seen *corev1.Secret, baseDigest string, t token.Tokens,
	memory token.Memory,
) (Result, *Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	secret := seen.DeepCopy()
	if secret == nil {
		snap, err := s.GetLive(ctx, ch)
		var notOwned *NotOwnedError
		switch {
		case errors.As(err, &notOwned):
			return Superseded, nil, nil
		case err != nil:
			return "", nil, err
		case snap == nil:
			return s.recreate(ctx, ch, t, memory)
		case snap.Tokens.RefreshToken == t.RefreshToken && snap.Tokens.AccessToken == t.AccessToken:
			return Stored, snap, nil // an earlier try got through although its answer did not
		case token.Digest(channelName(ch), snap.Tokens.RefreshToken) != baseDigest:
			return Superseded, snap, nil
		}
		secret = snap.Secret.DeepCopy()
	}
	st := token.DecodeState(secret)
	st.Claim, st.Memory = nil, memory
	setTokens(secret, t)
	if err := st.Encode(secret); err != nil {
		return "", nil, err
	}
	if err := s.opts.Client.Update(ctx, secret); err != nil {
		return "", nil, fmt.Errorf("writing the token Secret: %w", err)
	}
	return Stored, snapshot(secret), nil
}

// recreate writes the Secret that somebody deleted during the refresh, if the channel is still there.
func (s *Store) recreate(ctx context.Context, ch *v1alpha1.TiktokChannel, t token.Tokens, memory token.Memory) (Result, *Snapshot, error) {
	var current v1alpha1.TiktokChannel
	err := s.opts.Client.Get(ctx, types.NamespacedName{Namespace: ch.Namespace, Name: ch.Name}, &current)
	if apierrors.IsNotFound(err) || (err == nil && current.UID != ch.UID) {
		return Gone, nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("looking whether the channel still exists: %w", err)
	}
	secret := s.empty(ch)
	setTokens(secret, t)
	if err := (token.State{Epoch: ch.Status.AuthorizationEpoch, Memory: memory}).Encode(secret); err != nil {
		return "", nil, err
	}
	err = s.opts.Client.Create(ctx, secret)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return Gone, nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("writing the token Secret anew: %w", err)
	}
	return Stored, snapshot(secret), nil
}

// Replay stores the answers that an earlier process of this pod left in the journal. It returns when every one is settled. Call it before
// anything is refreshed.
func (s *Store) Replay(ctx context.Context) error {
	entries, err := s.opts.Journal.Entries()
	if err != nil {
		s.opts.Log.Error(err, "Some journal entries cannot be read")
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("replaying the journal: %w", err)
		}
		s.replay(ctx, e)
	}
	return nil
}

func (s *Store) replay(ctx context.Context, e journal.Entry) {
	log := s.opts.Log.WithValues("channel", e.Namespace+"/"+e.Name, "startedAt", e.StartedAt)
	ch := &v1alpha1.TiktokChannel{}
	ch.Namespace, ch.Name, ch.UID = e.Namespace, e.Name, types.UID(e.UID)
	if e.Tokens == nil {
		log.Info("A refresh was under way when this pod's last process ended; TikTok's answer, if any, is lost. " +
			"If TikTok refuses the next refresh, the channel must be authorized again")
	} else {
		// The token Secret's name may be set in the spec, so the channel has to be read, for as long as it takes.
		s.pending.Add(1)
		defer s.pending.Done()
		for attempt := 1; ; attempt++ {
			current := &v1alpha1.TiktokChannel{}
			err := s.opts.Client.Get(context.WithoutCancel(ctx), types.NamespacedName{Namespace: e.Namespace, Name: e.Name}, current)
			if apierrors.IsNotFound(err) || (err == nil && current.UID != ch.UID) {
				log.Info("The channel of a journalled refresh is gone")
				break
			}
			if err == nil {
				result, _ := s.persist(context.WithoutCancel(ctx), current, nil, e.BaseDigest, *e.Tokens, e.Memory)
				log.Info("A journalled refresh is settled", "result", result)
				break
			}
			log.Error(err, "The channel of a journalled refresh cannot be read yet; trying again until it succeeds", "attempt", attempt)
			s.opts.Clock.Sleep(min(5*time.Second, 100*time.Millisecond<<min(attempt, 6)))
		}
	}
	if err := s.opts.Journal.Remove(e.UID); err != nil {
		log.Error(err, "A journal entry could not be removed; it is ignored at the next start")
	}
}
