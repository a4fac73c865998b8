package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Ownership says which channels this replica serves, where several share the event log. *ownership.Shared is one.
type Ownership interface {
	// Term is 0 while another replica serves the channel, else a number that is another one for each time that this replica begins to.
	Term(channelUID string) uint64
	// Listen has f called after each change, with the channels that it concerns, several times at once if changes come together. What f ended
	// is not served elsewhere before it returns, unless that takes longer than within and a few seconds.
	Listen(f func(concerns func(channelUID string) bool, within time.Duration))
}

// SharedLog is what the Dispatcher needs of an event log that replicas share. *eventlog.Log is one.
type SharedLog interface {
	LoadSink(ctx context.Context, channelUID, sink string) (state eventlog.SinkState, revision uint64, err error)
	AdvanceSink(ctx context.Context, s eventlog.SinkState, revision uint64) (next uint64, err error)
}

const (
	// takeRetry is the wait after the state of a sink could not be taken over.
	takeRetry = time.Second
	// takeAtOnce is how many sinks are taken over at once.
	takeAtOnce = 16
	// drain is how long attempts may go on of a worker whose state is not, or no longer, what it should work from.
	drain = 2 * time.Second
	// saveWithin is how long it is tried at least to store what was done in a term that has ended, however long the attempts took: less than the
	// process has left at its end after DefaultShutdownGrace. saveTry bounds one try, and saveRetry is the wait after it.
	saveWithin, saveTry, saveRetry = 8 * time.Second, 2 * time.Second, 500 * time.Millisecond
)

// shared is the work of one replica of several.
type shared struct {
	// id names this process in what it stores.
	id    string
	owner Ownership
	log   SharedLog
	wake  chan struct{}
}

func newShared(opts *Options) (*shared, error) {
	if opts.Ownership == nil {
		return nil, nil
	}
	log, ok := opts.Log.(SharedLog)
	if !ok {
		return nil, errors.New("an event log that replicas share must fence what they store")
	}
	return &shared{id: string(uuid.NewUUID()), owner: opts.Ownership, log: log, wake: make(chan struct{}, 1)}, nil
}

// name is the id; "" without other replicas.
func (s *shared) name() string {
	if s == nil {
		return ""
	}
	return s.id
}

// kick has the workers looked over.
func (s *shared) kick() {
	if s == nil {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// term is that of a channel; without other replicas there is one only.
func (d *Dispatcher) term(uid string) uint64 {
	if d.shared == nil {
		return 1
	}
	return d.shared.owner.Term(uid)
}

// yield ends the work on channels that this replica ceases to serve, and returns when nothing is under way and all that was done is stored.
// Attempts that are under way may go on for as long as within says.
func (d *Dispatcher) yield(concerns func(channelUID string) bool, within time.Duration) {
	var ending sync.WaitGroup
	for _, w := range d.allWorkers() {
		if concerns(w.uid) && w.outdated() {
			ending.Go(func() { w.halt(within) })
		}
	}
	ending.Wait()
	d.shared.kick()
}

// own keeps the workers in step with what this replica serves, until the context ends.
func (d *Dispatcher) own(ctx context.Context) {
	for {
		if !d.takeAll(ctx) {
			d.opts.Clock.AfterFunc(takeRetry, d.shared.kick)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.shared.wake:
		}
	}
}

// takeAll takes over what this replica serves and does not work on yet. It returns false if some of it must be tried again.
func (d *Dispatcher) takeAll(ctx context.Context) bool {
	var running sync.WaitGroup
	var mu sync.Mutex
	complete := true
	slots := make(chan struct{}, takeAtOnce)
	for _, w := range d.allWorkers() {
		// What another replica serves, or will serve, is ended by yield, which knows how long that may take.
		if d.term(w.uid) == 0 || !w.outdated() {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			w.halt(drain)
			term := d.term(w.uid)
			if term == 0 || ctx.Err() != nil {
				return
			}
			state, revision, err := d.claimState(ctx, w)
			if err != nil {
				w.logger().Info("a sink's position cannot be taken over; trying again", "reason", err.Error())
				mu.Lock()
				defer mu.Unlock()
				complete = false
				return
			}
			w.begin(term, state, revision)
		})
	}
	running.Wait()
	return d.abandon(ctx) && complete
}

// claimState reads a sink's state, and stores it as its own: whoever served the sink before can store nothing from here on. Where nobody else
// has served it since this worker did, it goes on where it ended: an outage of the log alone repeats nothing.
func (d *Dispatcher) claimState(ctx context.Context, w *worker) (eventlog.SinkState, uint64, error) {
	state, revision, err := d.shared.log.LoadSink(ctx, w.uid, w.sink)
	if err != nil {
		return eventlog.SinkState{}, 0, err
	}
	epoch := d.opts.Log.Epoch()
	w.mu.Lock()
	switch {
	case w.kept != nil && w.kept.Epoch == epoch && (revision == 0 || state.Writer == d.shared.id):
		state = *w.kept
	case revision == 0:
		state = w.initial
	}
	w.mu.Unlock()
	state = inEpoch(state, epoch)
	state.Namespace, state.Name, state.Writer = w.channel.Namespace, w.channel.Name, d.shared.id // it may not have said whose it is
	next, err := d.shared.log.AdvanceSink(ctx, state, revision)
	return state, next, err
}

// inEpoch is a state in the log of an epoch. In another log than its own, its places mean nothing: everything there is new.
func inEpoch(state eventlog.SinkState, epoch int64) eventlog.SinkState {
	if state.Epoch != 0 && state.Epoch != epoch {
		state.Position, state.Behind = eventlog.Position{}, nil
	}
	state.Epoch = epoch
	return state
}

// renew has all workers begin anew whose log is gone.
func (d *Dispatcher) renew() {
	if d.shared != nil {
		d.shared.kick()
		return
	}
	epoch := d.opts.Log.Epoch()
	for _, w := range d.allWorkers() {
		w.renew(epoch)
	}
}

// renew makes a worker without other replicas begin at the beginning of the log of an epoch, unless it works there already.
func (w *worker) renew(epoch int64) {
	w.shift.Lock()
	defer w.shift.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.epoch == epoch {
		return
	}
	w.clearTimer()
	w.waiting.cancel()
	if cancel := w.cancel; cancel != nil {
		w.mu.Unlock() // nothing new begins: the worker does not own what it has
		cancel()
		w.done.Wait()
		w.mu.Lock()
	}
	state := inEpoch(w.state(), epoch)
	w.forget()
	w.restore(state)
	w.saved.dirty = true
	w.pump()
}

// outdated says that the worker works for another term than the present one or in a log that is gone, or lost its sink to another replica.
func (w *worker) outdated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stopped && (w.fenced || w.term != w.d.term(w.uid) || (w.term != 0 && w.epoch != w.d.opts.Log.Epoch()))
}

// halt ends the work of an outdated worker, waits until it has ended, and keeps no more than its state. Attempts that are under way may come to
// their end within a time, the shortest of those that halts at the same time give; what was done is stored, as soon as it can be within that time.
func (w *worker) halt(within time.Duration) {
	until := w.d.opts.Clock.Now().Add(within)
	defer w.cancelAfter(within)() // while another halt may have the shift
	w.shift.Lock()
	defer w.shift.Unlock()
	if !w.outdated() {
		return
	}
	w.mu.Lock()
	worked := w.term != 0
	w.term = 0
	w.clearTimer()
	w.waiting.cancel()
	cancel := w.cancel
	w.mu.Unlock()
	if cancel != nil {
		defer w.cancelAfter(within)()
		w.done.Wait()
		cancel()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if worked {
		w.saveAtLast(until)
		kept := w.state()
		w.kept = &kept
	}
	w.forget()
}

// cancelAfter ends the attempts that are under way after a time, unless stop is called before.
func (w *worker) cancelAfter(d time.Duration) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel == nil {
		return func() {}
	}
	timer := w.d.opts.Clock.AfterFunc(d, w.cancel)
	return func() { timer.Stop() }
}

// forget clears what belongs to a term. w.mu is held, and nothing is under way.
func (w *worker) forget() {
	w.clearTimer()
	w.letGoOfAll()
	w.ctx, w.cancel = nil, nil
	w.lanes, w.ready, w.inFlight, w.flows = map[string]*lane{}, nil, 0, false
	w.last = ""
	w.nextRetry, w.health, w.waiting, w.saved = time.Time{}, health{}, waiting{}, saved{}
	// A reader that lags behind the log may need what was hinted; a turn that was waited for comes.
	w.reading = reading{hinted: w.reading.hinted, queued: w.reading.queued}
}

// begin makes the worker work from a state, as a new one would.
func (w *worker) begin(term uint64, state eventlog.SinkState, revision uint64) {
	w.shift.Lock()
	defer w.shift.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
	w.term, w.revision, w.fenced, w.kept = term, revision, false, nil
	w.restore(state)
	w.pump()
}

// abandon forgets the stored states of sinks that are gone, once this replica serves their channels.
func (d *Dispatcher) abandon(ctx context.Context) (complete bool) {
	d.mu.Lock()
	abandoned := slices.Collect(maps.Keys(d.abandoned))
	d.mu.Unlock()
	complete = true
	for _, key := range abandoned {
		if d.term(string(key.uid)) == 0 {
			continue
		}
		if err := d.opts.Log.DeleteSink(ctx, string(key.uid), key.sink); err != nil {
			complete = false
			continue
		}
		d.mu.Lock()
		delete(d.abandoned, key)
		d.mu.Unlock()
	}
	return complete
}
