package target

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// lookEvery is how often a channel that is waited for is read.
const lookEvery = 500 * time.Millisecond

// readWithin bounds one look.
const readWithin = 20 * time.Second

// WaitFor reads a channel until done says so, and returns it as it was read last, also with an error. The time bounds the looks, not a read
// that is under way: a read cut short says neither that the channel is not done nor that it cannot be read.
func WaitFor(
	ctx context.Context, c client.Client, key client.ObjectKey, timeout time.Duration, done func(*v1alpha1.TiktokChannel) bool,
) (*v1alpha1.TiktokChannel, error) {
	ch := &v1alpha1.TiktokChannel{}
	err := wait.PollUntilContextTimeout(ctx, lookEvery, timeout, true, func(context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		if err := c.Get(ctx, key, ch); err != nil {
			return false, fmt.Errorf("reading channel %s: %w", key, err)
		}
		return done(ch), nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = fmt.Errorf("not within %s", timeout)
	}
	return ch, err
}
