package dispatch

import (
	"context"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// An event that was told of but cannot be read yet is looked for again a few times; a reader of a cluster may lag behind.
	staleRetry    = time.Second
	staleAttempts = 10
	// logRetry is the wait after the log could not be read.
	logRetry = 2 * time.Second
	// readBatch and laneBatch are how many events are read at once: ahead, and of a conversation that is behind.
	readBatch, laneBatch = 128, 32
)

// reading is the state of reading ahead.
type reading struct {
	active bool
	// more says that there may be events after the worker's position.
	more bool
	// notBefore is set after a failure.
	notBefore time.Time
	// hinted is the newest event that the log told of.
	hinted uint64
	stale  int
}

func (r *reading) hint(sequence uint64) {
	r.hinted, r.stale, r.more, r.notBefore = max(r.hinted, sequence), 0, true, time.Time{}
}

// mayReadAhead says whether there is something to read, and room for it. w.mu is held.
func (w *worker) mayReadAhead() bool {
	lanes := maxLanes
	if w.health.down() {
		lanes = maxLanesDown
	}
	return w.mayWork() && w.reading.more && len(w.lanes) < lanes && w.buffered < maxBuffered && w.bufferedBytes < maxBufferedBytes
}

// readAhead sets the reading ahead to work, if it may. w.mu is held.
func (w *worker) readAhead(now time.Time) {
	if w.reading.active || !w.mayReadAhead() {
		return
	}
	if w.reading.notBefore.After(now) {
		w.wakeAt(w.reading.notBefore, now)
		return
	}
	w.reading.active = w.spawn(w.read)
}

// read reads ahead and hands the events to their lanes.
func (w *worker) read(ctx context.Context) {
	w.mu.Lock()
	for w.mayReadAhead() && w.readOnce(ctx) {
		w.pump()
	}
	w.reading.active = false
	w.pump()
	idle := w.idle()
	w.mu.Unlock()
	w.save(ctx, idle)
}

// readOnce reads a batch. It returns false if it is no use to go on at once. w.mu is held, but not during the reading.
func (w *worker) readOnce(ctx context.Context) bool {
	w.reading.more = false // whoever hints from here on sets it again
	query := eventlog.Query{
		ChannelUID: w.uid, After: w.position, Limit: min(readBatch, maxBuffered-w.buffered), MaxBytes: maxBufferedBytes - w.bufferedBytes,
	}
	w.mu.Unlock()
	events, more, err := w.d.opts.Log.Events(ctx, query)
	w.mu.Lock()
	now := w.d.opts.Clock.Now()
	switch {
	case err != nil:
		if ctx.Err() == nil {
			w.logger().Error(err, "the next events cannot be read; trying again")
		}
		w.reading.more, w.reading.notBefore = true, now.Add(logRetry)
		return false
	case len(events) > 0:
		w.reading.notBefore = time.Time{}
		for _, e := range events {
			w.admit(e)
		}
		w.reading.more = w.reading.more || more || w.reading.hinted > w.position.Sequence
		w.count()
		return true
	case w.reading.more:
		return true
	case w.reading.hinted > w.position.Sequence && w.reading.stale < staleAttempts:
		w.reading.stale++
		w.reading.more, w.reading.notBefore = true, now.Add(staleRetry)
		return false
	default:
		w.waiting.none()
		if len(w.lanes) > 0 { // taken over from a stored state
			w.count()
		}
		return false
	}
}

// admit hands an event to its lane. w.mu is held.
func (w *worker) admit(e *eventlog.Stored) {
	w.position = eventlog.Position{Sequence: e.Sequence}
	w.waiting.take()
	w.saved.dirty = true
	if !w.concerns(e) {
		return
	}
	l := w.lanes[e.Lane]
	if l == nil {
		l = &lane{key: e.Lane}
		w.lanes[e.Lane] = l
	}
	if l.admit(e, l.retryAt.IsZero()) {
		w.buffered++
		w.bufferedBytes += len(e.Body)
	}
	if l.retryAt.IsZero() {
		w.makeReady(l)
	}
}

// idle says that nothing is under way. w.mu is held.
func (w *worker) idle() bool { return w.inFlight == 0 && !w.reading.active }
