package process

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Run starts mgr and returns when everything that it started has ended. While its caches wait for their first sync, which they do for ever if
// the API server refuses or hangs, nothing is started yet: Run then returns as soon as ctx ends. mgr.Start itself would go on waiting.
func Run(ctx context.Context, mgr manager.Manager) error {
	started := make(started)
	if err := mgr.Add(started); err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	select {
	case err := <-ended:
		return wrapped(err)
	case <-started:
		return wrapped(<-ended)
	case <-ctx.Done():
	}
	select {
	case <-started:
		return wrapped(<-ended)
	default:
		return nil
	}
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

// started is closed when the manager starts what needs the caches.
type started chan struct{}

// Start implements manager.Runnable.
func (s started) Start(context.Context) error {
	close(s)
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (started) NeedLeaderElection() bool { return false }
