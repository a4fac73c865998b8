package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// saved says what of the worker's state is stored.
type saved struct {
	dirty  bool
	at     time.Time
	active bool
	// must is set by who cannot wait for the next time while a state is being stored.
	must bool
}

// save stores the state, at most every saveInterval unless it must. A failure costs no more than a repeated delivery after a restart.
func (w *worker) save(ctx context.Context, must bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.saved.active {
		w.saved.must = w.saved.must || must
		return
	}
	for w.saved.dirty && !w.fenced && (must || w.d.opts.Clock.Since(w.saved.at) >= saveInterval) {
		state, revision := w.state(), w.revision
		w.saved.dirty, w.saved.active = false, true
		w.mu.Unlock()
		// An attempt that was given up is no reason to forget the ones that succeeded.
		next, err := w.d.saveState(context.WithoutCancel(ctx), state, revision)
		w.mu.Lock()
		w.saved.active, w.saved.at = false, w.d.opts.Clock.Now()
		if errors.Is(err, eventlog.ErrSinkChanged) {
			// Another replica serves the sink, or has: what is known here is old. It may also be that an earlier state of this worker was
			// stored although the answer was lost. Reading it tells.
			w.fenced, w.saved.must, w.saved.dirty = true, false, true
			w.logger().V(1).Info("a sink's position is another one than this replica stored last; it is read anew")
			w.d.shared.kick()
			return
		}
		if err != nil {
			w.saved.dirty, w.saved.must = true, false
			w.logger().V(1).Info("a sink's position was not stored; it will be with the next one", "reason", err.Error())
			return
		}
		w.revision = next
		must, w.saved.must = w.saved.must, false
	}
}

// saveAtLast stores what was done in a term that has ended. While the log cannot, as where a server is lost, it is tried again until a time, and for
// saveWithin at least: the replica that serves the channel next would do it again. w.mu is held, but not while it is stored, and nothing else of the
// worker is under way.
func (w *worker) saveAtLast(until time.Time) {
	if w.stopped || !w.saved.dirty || w.epoch != w.d.opts.Log.Epoch() {
		return
	}
	w.done.Add(1) // stop waits for it
	defer w.done.Done()
	state, revision := w.state(), w.revision
	clock := w.d.opts.Clock
	end := clock.Now().Add(saveWithin)
	if until.After(end) {
		end = until
	}
	for {
		w.mu.Unlock()
		err := w.d.shared.saveOver(state, revision, min(saveTry, end.Sub(clock.Now())))
		w.mu.Lock()
		switch {
		case err == nil:
			w.saved.dirty = false
			return
		case errors.Is(err, eventlog.ErrSinkChanged):
			w.logger().V(1).Info("a sink's position was not stored: another replica has stored one since")
			return
		case w.stopped, clock.Now().Add(saveRetry).After(end):
			w.logger().Info("a sink's position was not stored; the next replica may repeat deliveries", "reason", err.Error())
			return
		}
		w.mu.Unlock()
		<-clock.After(saveRetry)
		w.mu.Lock()
	}
}

// saveOver stores a state in place of the one that this replica stored last: that of the revision, or a later one of which the answer was lost.
// ErrSinkChanged says that another replica has stored one since.
func (s *shared) saveOver(state eventlog.SinkState, revision uint64, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := s.log.AdvanceSink(ctx, state, revision)
	if !errors.Is(err, eventlog.ErrSinkChanged) {
		return err
	}
	found, now, readErr := s.log.LoadSink(ctx, state.ChannelUID, state.Sink)
	switch {
	case readErr != nil:
		return readErr
	case now != 0 && now <= revision:
		return errors.New("the server that answers lags behind the others")
	case found.Writer != s.id: // or it was forgotten
		return err
	}
	if _, err = s.log.AdvanceSink(ctx, state, now); errors.Is(err, eventlog.ErrSinkChanged) {
		return errors.New("the position was stored again meanwhile") // by whom is to be seen
	}
	return err
}

// saveState stores a state, fenced where replicas share the log.
func (d *Dispatcher) saveState(ctx context.Context, state eventlog.SinkState, revision uint64) (uint64, error) {
	if d.shared == nil {
		return 0, d.opts.Log.SaveSink(ctx, state)
	}
	return d.shared.log.AdvanceSink(ctx, state, revision)
}

// state is the worker's state as the log keeps it. w.mu is held, or the worker has stopped.
func (w *worker) state() eventlog.SinkState {
	state := eventlog.SinkState{
		Namespace: w.channel.Namespace, Name: w.channel.Name, ChannelUID: w.uid, Sink: w.sink, Position: w.position,
		Epoch: w.epoch, Writer: w.d.shared.name(),
	}
	for key, l := range w.lanes {
		if l.finished() {
			continue
		}
		if state.Behind == nil {
			state.Behind = map[string]eventlog.Undone{}
		}
		state.Behind[key] = eventlog.Undone{Sequence: l.first, Attempts: l.attempts, Pending: l.pending}
	}
	if h := &w.health; h.failing() {
		state.Failing = &eventlog.Failing{Since: h.since, Down: h.down(), Problem: short(h.problem)}
	}
	return state
}
