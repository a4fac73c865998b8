// Package tokenstore is the one place that reads and writes token Secrets: it claims a Secret before a refresh, stores what TikTok answered
// without losing it, and puts a fresh authorization in place. Every write is a compare-and-swap on the Secret's resourceVersion.
//
// It decides nothing about tokens (see package token), never touches a Secret that is not the operator's own, and does not call TikTok.
package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// Options of a Store.
type Options struct {
	// Client reads and writes Secrets and channels, uncached.
	Client client.Client
	// Cache optionally serves first reads from a cache of the Secrets labelled with v1alpha1.ChannelLabel.
	Cache client.Reader
	// Clock defaults to the real one.
	Clock clock.Clock
	// Holder names this process in claims; it must differ between any two processes, also of one pod.
	Holder string
	// Journal keeps answers until they are stored; nil keeps none.
	Journal *journal.Journal
	// Log tells of stores that have to be repeated.
	Log logr.Logger
}

// Store reads and writes token Secrets. It is safe for concurrent use.
type Store struct {
	opts Options
	// pending counts refreshes whose outcome is not stored yet.
	pending sync.WaitGroup
}

// New returns a Store.
func New(opts Options) *Store {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Store{opts: opts}
}

// WaitPending returns when no refresh is under way. A process must not exit before.
func (s *Store) WaitPending() { s.pending.Wait() }

// NotOwnedError says that the Secret of the token Secret's name is not this channel's own. Its text is a sentence for a condition.
type NotOwnedError struct {
	Name string
}

// Error implements error.
func (e *NotOwnedError) Error() string {
	return fmt.Sprintf("The Secret %s exists but is not this channel's token Secret, so it is left alone: rename or delete it, "+
		"or let spec.tokenSecretRef.name of a new channel name another.", e.Name)
}

// Snapshot is a token Secret as it was read.
type Snapshot struct {
	// Secret is the object itself; do not change it.
	Secret *corev1.Secret
	// Tokens in it; without a refresh token if DecodeErr is token.ErrNoRefreshToken.
	Tokens token.Tokens
	// State beside them.
	State token.State
	// DecodeErr says what could not be read of it.
	DecodeErr error
}

// Get reads a channel's token Secret, from the cache if it is there. It returns nil where there is none, and a *NotOwnedError where the
// Secret of that name is somebody else's.
func (s *Store) Get(ctx context.Context, ch *v1alpha1.TiktokChannel) (*Snapshot, error) {
	if s.opts.Cache != nil {
		// The cache holds labelled Secrets only: a miss may be a foreign Secret, so it has to be looked at.
		snap, err := read(ctx, s.opts.Cache, ch)
		if snap != nil || err != nil {
			return snap, err
		}
	}
	return s.GetLive(ctx, ch)
}

// GetLive is Get without the cache.
func (s *Store) GetLive(ctx context.Context, ch *v1alpha1.TiktokChannel) (*Snapshot, error) {
	return read(ctx, s.opts.Client, ch)
}

func read(ctx context.Context, r client.Reader, ch *v1alpha1.TiktokChannel) (*Snapshot, error) {
	secret := &corev1.Secret{}
	if err := r.Get(ctx, ch.TokenSecretKey(), secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the token Secret: %w", err)
	}
	if !owned(secret, ch) {
		return nil, &NotOwnedError{Name: secret.Name}
	}
	return snapshot(secret), nil
}

// owned says whether a Secret is the channel's token Secret. Type and label decide, not an owner reference: the Secret outlives a channel
// whose deletionPolicy is Retain, and a channel of the same name goes on with it.
func owned(secret *corev1.Secret, ch *v1alpha1.TiktokChannel) bool {
	return secret.Type == v1alpha1.TokenSecretType && secret.Labels[v1alpha1.ChannelLabel] == ch.Name
}

func snapshot(secret *corev1.Secret) *Snapshot {
	snap := &Snapshot{Secret: secret, State: token.DecodeState(secret)}
	snap.Tokens, snap.DecodeErr = token.Decode(secret)
	return snap
}

// HasRefreshToken says whether the Secret can be refreshed at all.
func (s *Snapshot) HasRefreshToken() bool {
	return s != nil && !errors.Is(s.DecodeErr, token.ErrNoRefreshToken)
}

func (s *Store) empty(ch *v1alpha1.TiktokChannel) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ch.Namespace, Name: ch.TokenSecretName(),
			Labels: map[string]string{
				v1alpha1.ChannelLabel:          ch.Name,
				"app.kubernetes.io/managed-by": "tiktok-operator",
			},
		},
		Type: v1alpha1.TokenSecretType,
	}
}

// setTokens puts tokens into a Secret. Keys that the operator does not know are left alone.
func setTokens(secret *corev1.Secret, t token.Tokens) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, key := range []string{v1alpha1.AccessTokenExpiresAtKey, v1alpha1.RefreshTokenExpiresAtKey} {
		delete(secret.Data, key) // left out by Data where unknown
	}
	for key, value := range t.Data() {
		secret.Data[key] = value
	}
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[v1alpha1.ObtainedAtAnnotation] = t.ObtainedAt.UTC().Format("2006-01-02T15:04:05Z07:00")
}

// Delete removes a channel's token Secret, if it is the channel's own.
func (s *Store) Delete(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	snap, err := s.GetLive(ctx, ch)
	var notOwned *NotOwnedError
	if errors.As(err, &notOwned) {
		return nil
	}
	if snap == nil || err != nil {
		return err
	}
	if err := s.opts.Client.Delete(ctx, snap.Secret, client.Preconditions{UID: ptr.To(snap.Secret.UID)}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the token Secret: %w", err)
	}
	return nil
}
