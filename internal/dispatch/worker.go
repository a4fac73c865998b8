package dispatch

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

const (
	// An event that was told of but cannot be read yet is looked for again a few times; a reader of a cluster may lag behind.
	staleRetry    = time.Second
	staleAttempts = 10
	// logRetry is the wait after the log could not be read.
	logRetry = 2 * time.Second
)

// worker delivers to one sink. It has a goroutine only while there may be something to deliver.
type worker struct {
	d       *Dispatcher
	channel types.NamespacedName
	uid     string
	sink    string

	mu      sync.Mutex
	config  *config
	stopped bool
	active  bool // a goroutine is at work
	again   bool // something happened that it may not have seen
	done    sync.WaitGroup
	cancel  context.CancelFunc // of the goroutine's attempt
	// cancelCount ends the counting of the backlog.
	cancelCount context.CancelFunc

	// hinted is the newest event that the log told of.
	hinted uint64
	stale  int
	// retryAt is set while the worker waits after a failure.
	retryAt time.Time
	timer   clock.Timer
	waiting waiting
	// position is written by the goroutine only, with mu held.
	position eventlog.Position

	// Only the goroutine uses these.
	saved      uint64
	savedAt    time.Time
	failures   int
	target     sink.Target
	targetOf   *config
	resolvedAt time.Time
}

// config is what a worker delivers by; it does not change.
type config struct {
	suspend bool
	sink    *v1alpha1.Sink
}

// configure sets what the worker delivers by. A change takes effect at once, in the midst of a back-off too.
func (w *worker) configure(ch *v1alpha1.TiktokChannel, s *v1alpha1.Sink) {
	w.mu.Lock()
	old := w.config
	unchanged := old != nil && old.suspend == ch.Spec.Suspend && reflect.DeepEqual(old.sink, s)
	if !unchanged {
		w.config = &config{suspend: ch.Spec.Suspend, sink: s.DeepCopy()}
		w.retryAt = time.Time{}
	}
	w.mu.Unlock()
	if !unchanged {
		w.wake()
	}
}

// hint says that an event of the channel was stored.
func (w *worker) hint(sequence uint64) {
	w.mu.Lock()
	w.hinted, w.stale = max(w.hinted, sequence), 0
	w.waiting.tell(sequence)
	w.again = true
	w.mu.Unlock()
	w.wake()
}

// untold says that events may have been stored that the log did not tell of.
func (w *worker) untold() {
	w.mu.Lock()
	w.waiting.counted = false
	w.mu.Unlock()
	w.wake()
}

// wake sets the worker to work, unless it is at work, waits after a failure, is suspended or has stopped.
func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.config == nil {
		return
	}
	w.again = true
	if w.active || w.config.suspend || w.retryAt.After(w.d.opts.Clock.Now()) {
		return
	}
	attempts, ok := w.d.begin()
	if !ok {
		return
	}
	w.clearTimer()
	ctx, cancel := context.WithCancel(attempts)
	w.active, w.cancel, w.retryAt = true, cancel, time.Time{}
	w.done.Add(1)
	go func() {
		defer w.d.group.Done()
		defer w.done.Done()
		defer cancel()
		w.work(ctx)
	}()
}

// stop ends the worker for good, and waits until it has ended. An attempt under way is given up.
func (w *worker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.clearTimer()
	for _, cancel := range []context.CancelFunc{w.cancel, w.cancelCount} {
		if cancel != nil {
			cancel()
		}
	}
	w.mu.Unlock()
	w.done.Wait()
}

// pause ends what only waits: the Dispatcher stops.
func (w *worker) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clearTimer()
	if w.cancelCount != nil {
		w.cancelCount()
	}
}

func (w *worker) clearTimer() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// step is what the worker does next.
type step int

const (
	stepGoOn step = iota
	stepWait      // after a failure
	stepEnd       // nothing to do
)

// work delivers until there is nothing to do, or a failure asks for a wait.
func (w *worker) work(ctx context.Context) {
	for {
		c, ok := w.begin()
		if !ok {
			w.save(ctx, true)
			if w.quit() {
				return
			}
			continue
		}
		next, wait := w.step(ctx, c)
		w.save(ctx, next != stepGoOn)
		if next != stepGoOn && w.end(next, wait, c) {
			return
		}
	}
}

// begin takes the config for the next step; ok is false if the worker must not go on.
func (w *worker) begin() (c *config, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = false
	return w.config, w.mayWork()
}

// quit makes the worker inactive, unless it may go on after all.
func (w *worker) quit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = w.mayWork()
	return !w.active
}

// mayWork says whether the worker may deliver. w.mu is held.
func (w *worker) mayWork() bool { return !w.stopped && !w.config.suspend && !w.d.stopping() }

// current says whether the config is still the one to deliver by.
func (w *worker) current(c *config) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.config == c && !w.stopped
}

// end makes the worker inactive, unless something happened meanwhile that it has not seen.
func (w *worker) end(next step, wait time.Duration, c *config) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config != c || w.stopped || (next == stepEnd && w.again) {
		return false
	}
	w.active = false
	if next == stepWait {
		until := w.d.opts.Clock.Now().Add(wait)
		w.retryAt = until
		w.timer = w.d.opts.Clock.AfterFunc(wait, func() {
			w.mu.Lock()
			if w.retryAt.Equal(until) {
				w.retryAt = time.Time{}
			}
			w.mu.Unlock()
			w.wake()
		})
	}
	return true
}

func (w *worker) logger() logr.Logger {
	return w.d.opts.Logger.WithValues("namespace", w.channel.Namespace, "channel", w.channel.Name, "sink", w.sink)
}
