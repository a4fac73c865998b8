package simulator

import (
	"context"
	"sync"
)

// lifecycle owns the goroutines that outlive a call, and ends them.
type lifecycle struct {
	ctx    context.Context //nolint:containedctx // the life of the Simulator's own goroutines, not of a call
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (l *lifecycle) begin() { l.ctx, l.cancel = context.WithCancel(context.Background()) }

func (l *lifecycle) end() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
}

// spawn runs work in the background unless the life has ended.
func (l *lifecycle) spawn(work func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		work(l.ctx)
	}()
}

// within is a context that ends with the given one, and with the life.
func (l *lifecycle) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
