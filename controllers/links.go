package controllers

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// AuthorizationLinks makes the links of status.authorizationURL, and keeps the Secret of the keys that sign them.
type AuthorizationLinks struct {
	// Client reads and writes the key Secret, uncached.
	Client client.Client
	// Namespace is the operator's own.
	Namespace string
	// Clock is the time.
	Clock clock.WithTicker

	mu       sync.Mutex
	keys     tickets.Keys
	loadedAt time.Time
}

const (
	// linkMargin is how much life a link in the status has left at least: it is replaced before.
	linkMargin = 12 * time.Hour
	// keysFor is how long keys are used before they are read again.
	keysFor = time.Minute
)

// Link returns the current link if it is still good, else a new one, and when to come back for the next.
func (l *AuthorizationLinks) Link(ctx context.Context, ch *v1alpha1.TiktokChannel, app *v1alpha1.TiktokApp, epoch int64, current string,
) (link string, renewAt time.Time, err error) {
	keys, err := l.load(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	now := l.Clock.Now()
	wanted := tickets.Link{Namespace: ch.Namespace, Name: ch.Name, UID: string(ch.UID), Epoch: epoch}
	base := app.AuthorizationStartURL()
	if u, err := url.Parse(current); err == nil && current != "" {
		query := u.Query()
		u.RawQuery = ""
		if got, err := keys.VerifyLink(query.Get("link"), now.Add(linkMargin)); err == nil && got == wanted && u.String() == base {
			return current, now.Add(time.Hour), nil
		}
	}
	signed, err := keys.SignLink(wanted, now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("making the authorization link: %w", err)
	}
	return base + "?link=" + url.QueryEscape(signed), now.Add(time.Hour), nil
}

// load reads the keys, and makes or rotates them where that is due.
func (l *AuthorizationLinks) load(ctx context.Context) (tickets.Keys, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Clock.Now()
	if !l.loadedAt.IsZero() && now.Sub(l.loadedAt) < keysFor && !now.Before(l.loadedAt) {
		return l.keys, nil
	}
	keys, err := tickets.Ensure(ctx, l.Client, types.NamespacedName{Namespace: l.Namespace, Name: tickets.SecretName}, now)
	if err != nil {
		return tickets.Keys{}, fmt.Errorf("keeping the keys of authorization links: %w", err)
	}
	l.keys, l.loadedAt = keys, now
	return keys, nil
}

// Start makes the keys before anybody needs them. It implements manager.Runnable.
func (l *AuthorizationLinks) Start(ctx context.Context) error {
	for {
		if _, err := l.load(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.Clock.After(time.Second):
		}
	}
}
