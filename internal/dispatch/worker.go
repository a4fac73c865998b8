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
)

// Bounds of one sink's work.
const (
	// maxInFlight is how many conversations are delivered at once.
	maxInFlight = 16
	// maxLanes is how many conversations may be behind before the reading ahead waits; of a sink that is down, maxLanesDown.
	maxLanes, maxLanesDown = 512, 8
	// maxBuffered and maxBufferedBytes bound the events that are held in memory, within what all sinks may hold together.
	maxBuffered, maxBufferedBytes = 256, 4 << 20
	// quantum is how many events of a conversation are delivered before the next one has its turn; where sinks wait for a place, as many as
	// are delivered within turnTime.
	quantum  = 16
	turnTime = 250 * time.Millisecond
)

// worker delivers to one sink. It has goroutines only while there may be something to deliver: one that reads ahead, and one a conversation
// that is being delivered.
type worker struct {
	d       *Dispatcher
	channel types.NamespacedName
	uid     string
	sink    string

	// shift is held while the work of a term ends, or that of another begins.
	shift sync.Mutex

	// All below is guarded by mu.
	mu sync.Mutex
	// initial is where a sink begins that has no stored state, and kept where this worker ended.
	initial eventlog.SinkState
	kept    *eventlog.SinkState
	// term is that of the channel for which the worker works; 0 while it has no state to work from.
	term uint64
	// epoch of the log that the state belongs to.
	epoch int64
	// revision is that of the stored state, and fenced says that another replica has stored one since. Only where replicas share the log.
	revision uint64
	fenced   bool

	config  *config
	stopped bool
	done    sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of the goroutines; stop ends it
	cancel  context.CancelFunc
	timer   clock.Timer
	timerAt time.Time

	// position is how far the log was read ahead.
	position eventlog.Position
	lanes    map[string]*lane
	ready    []*lane
	inFlight int
	// queued says that the worker waits for its turn at a place for one more attempt, and granted that it has got one.
	queued, granted bool
	// flows says that an attempt has shown the sink alive since it was configured, or was down.
	flows bool
	// nextRetry is when the first of the waiting lanes is ready again.
	nextRetry     time.Time
	health        health
	buffered      int
	bufferedBytes int
	// chargedTo is the host that pays for what is held.
	chargedTo string
	// last is how the last attempt ended.
	last outcome
	// lost says that the loss of events was logged.
	lost bool

	reading reading
	waiting waiting
	saved   saved
	target  resolved
}

// config is what a worker delivers by; it does not change.
type config struct {
	suspend bool
	sink    *v1alpha1.Sink
	limits  limits
	// host is where the sink is, as far as it is known without asking: sinks of one host share what one host may take of this process.
	host string
}

func (d *Dispatcher) newWorker(channel types.NamespacedName, state eventlog.SinkState) *worker {
	state = inEpoch(state, d.opts.Log.Epoch())
	w := &worker{d: d, channel: channel, uid: state.ChannelUID, sink: state.Sink, initial: state}
	if d.shared != nil { // it waits until this replica serves the channel
		w.forget()
		return w
	}
	w.term = 1
	w.restore(state)
	return w
}

// restore sets the state to work from. w.mu is held, or nobody else knows w yet.
func (w *worker) restore(state eventlog.SinkState) {
	w.epoch, w.position, w.lanes, w.reading.more = state.Epoch, state.Position, map[string]*lane{}, true
	w.health = remembered(state.Failing)
	for key, undone := range state.Behind {
		l := restoredLane(key, undone, state.Position.Sequence)
		w.lanes[key] = l
		w.makeReady(l)
	}
}

// configure sets what the worker delivers by. A change takes effect at once, in the midst of a back-off too.
func (w *worker) configure(ch *v1alpha1.TiktokChannel, s *v1alpha1.Sink) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.config
	if old != nil && old.suspend == ch.Spec.Suspend && reflect.DeepEqual(old.sink, s) {
		return
	}
	w.config = &config{
		suspend: ch.Spec.Suspend, sink: s.DeepCopy(), limits: limits{attempts: s.MaxAttempts(), age: s.MaxAge()}, host: hostOf(ch.Namespace, s),
	}
	w.charge(w.config.host)
	if old != nil {
		w.health = w.health.changed()
	}
	w.flows = false
	if w.config.suspend {
		w.shed()
	}
	w.release()
	w.pump()
}

// hint says that an event of the channel was stored.
func (w *worker) hint(sequence uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading.hint(sequence)
	w.waiting.tell(sequence)
	w.pump()
}

// untold says that events may have been stored that the log did not tell of.
func (w *worker) untold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting.counted = false
	w.reading.more = true
	w.pump()
}

// stop ends the worker for good, and waits until it has ended. Attempts under way are given up.
func (w *worker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.clearTimer()
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Unlock()
	w.done.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGoOfAll()
}

// pause ends what only waits: the Dispatcher stops.
func (w *worker) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clearTimer()
	w.waiting.cancel()
}

// mayWork says whether the worker may deliver. w.mu is held.
func (w *worker) mayWork() bool {
	return !w.stopped && w.config != nil && !w.config.suspend && w.owned() && !w.d.stopping()
}

// owned says whether the worker's state is that of its channel's present term and of the present log, and nobody else's. w.mu is held.
func (w *worker) owned() bool {
	return w.term != 0 && !w.fenced && w.term == w.d.term(w.uid) && w.epoch == w.d.opts.Log.Epoch()
}

// spawn runs f in a goroutine that stop waits for; it fails while the Dispatcher does not run. w.mu is held, and the worker not stopped.
func (w *worker) spawn(f func(ctx context.Context)) bool {
	attempts, ok := w.d.begin()
	if !ok {
		return false
	}
	if w.ctx == nil {
		w.ctx, w.cancel = context.WithCancel(attempts)
	}
	ctx := w.ctx
	w.done.Add(1)
	go func() {
		defer w.d.group.Done()
		defer w.done.Done()
		f(ctx)
	}()
	return true
}

// pump sets to work what may: it is called after whatever may have changed that. w.mu is held.
func (w *worker) pump() {
	if !w.mayWork() {
		return
	}
	now := w.d.opts.Clock.Now()
	if down := w.health.down(); down && w.health.retryAt.After(now) {
		w.expire(now)
		w.wakeAt(w.health.retryAt, now)
	} else {
		w.wakeLanes(now, down)
		limit := maxInFlight
		if down {
			limit = 1
		}
		for w.inFlight < limit && len(w.ready) > 0 && w.takePlace() {
			if !w.run(w.takeReady(), down) {
				return
			}
		}
		if !w.nextRetry.IsZero() {
			w.wakeAt(w.nextRetry, now)
		}
	}
	w.readAhead(now)
}

// takePlace takes a place for an attempt. If there is none, the worker gets its turn. w.mu is held.
func (w *worker) takePlace() bool {
	host := w.config.host
	switch {
	case w.granted:
		w.granted = false
		return true
	case w.queued:
		return false
	case w.d.places.take(host, 1):
		return true
	}
	w.queued = true
	w.d.places.wait(host, 1, func() { w.turn(host) })
	return false
}

// turn is the worker's turn at a place of a host.
func (w *worker) turn(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued = false
	w.granted = w.mayWork() && w.config.host == host
	unused := !w.granted
	w.pump()
	if w.granted || unused {
		w.granted = false
		w.d.places.give(host, 1)
	}
}

// wakeLanes makes the lanes ready whose wait is over; of a sink that is down, one lane if none is ready. w.mu is held.
func (w *worker) wakeLanes(now time.Time, down bool) {
	if down {
		if len(w.ready) == 0 && w.inFlight == 0 {
			var next *lane
			for _, l := range w.lanes {
				if !l.retryAt.IsZero() && (next == nil || l.retryAt.Before(next.retryAt)) {
					next = l
				}
			}
			if next != nil {
				w.makeReady(next)
			}
		}
		return
	}
	if w.nextRetry.IsZero() || w.nextRetry.After(now) {
		return
	}
	w.nextRetry = time.Time{}
	for _, l := range w.lanes {
		switch {
		case l.retryAt.IsZero():
		case !l.retryAt.After(now):
			w.makeReady(l)
		case w.nextRetry.IsZero() || l.retryAt.Before(w.nextRetry):
			w.nextRetry = l.retryAt
		}
	}
}

// release ends the waits of all lanes. w.mu is held.
func (w *worker) release() {
	w.nextRetry = time.Time{}
	for _, l := range w.lanes {
		if !l.retryAt.IsZero() {
			w.makeReady(l)
		}
	}
}

// makeReady queues a lane that is neither busy nor ready. w.mu is held.
func (w *worker) makeReady(l *lane) {
	l.retryAt = time.Time{}
	if !l.busy && !l.ready {
		l.ready = true
		w.ready = append(w.ready, l)
	}
}

func (w *worker) takeReady() *lane {
	l := w.ready[0]
	w.ready[0] = nil
	w.ready = w.ready[1:]
	l.ready = false
	return l
}

// wakeAt pumps at a time, if nothing does earlier. w.mu is held.
func (w *worker) wakeAt(at, now time.Time) {
	if w.timer != nil && !w.timerAt.After(at) {
		return
	}
	w.clearTimer()
	w.timerAt = at
	w.timer = w.d.opts.Clock.AfterFunc(max(at.Sub(now), time.Millisecond), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timerAt.Equal(at) {
			w.timer = nil
		}
		w.pump()
	})
}

func (w *worker) clearTimer() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

func (w *worker) logger() logr.Logger {
	return w.d.opts.Logger.WithValues("namespace", w.channel.Namespace, "channel", w.channel.Name, "sink", w.sink)
}
