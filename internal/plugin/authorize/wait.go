package authorize

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// waiting for a channel, of which every turn is told.
type waiting struct {
	client client.Client
	key    client.ObjectKey
	// after is the epoch that an authorization has to be later than.
	after int64
	// left is how long is waited from now on.
	left     time.Duration
	progress *progress
}

// forLink waits until it is known whether the channel needs a link, and where that is.
func (w *waiting) forLink(ctx context.Context) (*v1alpha1.TiktokChannel, error) {
	ch, err := target.WaitFor(ctx, w.client, w.key, w.left, func(ch *v1alpha1.TiktokChannel) bool {
		if ready(ch) || authorized(ch) || ch.Status.AuthorizationURL != "" || unlinked(ch) {
			return true
		}
		w.progress.tell(reason(ch, w.after))
		return false
	})
	w.progress.end()
	if err != nil {
		return nil, fmt.Errorf("channel %s has no link: %w: %s", w.key, err, reason(ch, w.after))
	}
	w.left = max(0, w.left-w.progress.clock.Since(w.progress.began).Truncate(time.Second))
	return ch, nil
}

// untilReady waits until the channel is Ready, and was authorized as late as it has to be.
func (w *waiting) untilReady(ctx context.Context) error {
	ch, err := target.WaitFor(ctx, w.client, w.key, w.left, func(ch *v1alpha1.TiktokChannel) bool {
		w.progress.tell(reason(ch, w.after))
		return ready(ch) && ch.Status.AuthorizationEpoch > w.after
	})
	w.progress.end()
	switch {
	case err == nil:
		return nil
	case ready(ch):
		return fmt.Errorf("channel %s was not authorized anew: %w", w.key, err)
	default:
		return fmt.Errorf("channel %s is not Ready: %w: %s", w.key, err, reason(ch, w.after))
	}
}
