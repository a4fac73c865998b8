package oauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

const (
	// keysFor is how long keys are used before they are read again.
	keysFor = time.Minute
	// keysAtLeast is how long keys are used although a ticket does not match them: a stranger's tickets must not cause a read each.
	keysAtLeast = 2 * time.Second
	// keysTimeout bounds one read.
	keysTimeout = 5 * time.Second
)

// keyring caches the keys of tickets. A failure is kept for a while, too: the requests that queued behind it must not each wait for the next.
type keyring struct {
	load  func(context.Context) (tickets.Keys, error)
	clock clock.PassiveClock

	mu   sync.Mutex
	keys tickets.Keys
	err  error
	read time.Time
}

// get returns keys that are no older than maxAge.
func (k *keyring) get(ctx context.Context, maxAge time.Duration) (tickets.Keys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		maxAge = keysAtLeast
	}
	if age := k.clock.Since(k.read); !k.read.IsZero() && age >= 0 && age < maxAge {
		return k.keys, k.err
	}
	// Not the request's own context: its end would count as a failure for those that wait behind it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	k.keys, k.err = k.load(ctx)
	k.read = k.clock.Now()
	return k.keys, k.err
}

// verify checks a ticket. If the keys do not know it, they are read again, because they may have been rotated.
func verify[T any](ctx context.Context, k *keyring, ticket string, check func(tickets.Keys, string, time.Time) (T, error)) (T, error) {
	var none T
	for _, maxAge := range []time.Duration{keysFor, keysAtLeast} {
		keys, err := k.get(ctx, maxAge)
		if err != nil {
			return none, err
		}
		got, err := check(keys, ticket, k.clock.Now())
		if err == nil || !errors.Is(err, tickets.ErrInvalid) {
			return got, err
		}
	}
	return none, tickets.ErrInvalid
}
