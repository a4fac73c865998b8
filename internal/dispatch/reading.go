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
	// readBatch and laneBatch are how many events are read at once: ahead, and of a conversation that is behind, or ahead where others wait for their
	// turn to read.
	readBatch, laneBatch = 128, 32
	// fewEvents is how many are read ahead for a sink that has not shown yet that it takes events.
	fewEvents = 4
)

// reading is the state of reading ahead.
type reading struct {
	active bool
	// queued says that it waits for its turn at room in memory.
	queued bool
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
	if !w.mayWork() || !w.reading.more {
		return false
	}
	if w.health.down() {
		return len(w.lanes) < maxLanesDown && w.known() < maxBuffered
	}
	lanes, events := maxLanes, maxBuffered
	if !w.flows {
		lanes, events = fewEvents, fewEvents
	}
	return len(w.lanes) < lanes && w.buffered < events && w.bufferedBytes < maxBufferedBytes
}

// known is how many events wait in lanes. w.mu is held.
func (w *worker) known() (n uint64) {
	for _, l := range w.lanes {
		n += l.waiting()
	}
	return n
}

// readAhead sets the reading ahead to work, if it may. w.mu is held.
func (w *worker) readAhead(now time.Time) {
	if w.reading.active || w.reading.queued {
		return
	}
	if !w.mayReadAhead() {
		if w.mayWork() && w.reading.more {
			w.count() // what is not read for a while
		}
		return
	}
	if w.reading.notBefore.After(now) {
		w.wakeAt(w.reading.notBefore, now)
		return
	}
	if r, ok := w.takeRoom(); ok {
		w.startReading(r)
	}
}

// takeRoom takes a place for the next read, and room for what it brings. Where there is none, the reading gets its turn. w.mu is held.
func (w *worker) takeRoom() (room, bool) {
	host := w.config.host
	if w.d.readers.take(host, 1) {
		return w.takeBytes(host)
	}
	w.reading.queued = true
	w.d.readers.wait(host, 1, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reading.queued = false
		if !w.mayStartReading() {
			w.d.readers.give(host, 1)
			w.pump()
		} else if r, ok := w.takeBytes(host); ok {
			w.startReading(r)
		}
	})
	return room{}, false
}

// takeBytes takes the room, for a reading that has its place. w.mu is held.
func (w *worker) takeBytes(host string) (room, bool) {
	most := readRoom
	if !w.flows {
		most = smallRoom
	}
	r := w.tryRoom(host, most)
	if r.bytes > 0 {
		return r, true
	}
	r.bytes = smallRoom
	w.reading.queued = true
	w.d.memory.wait(r.host, r.bytes, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reading.queued = false
		if w.mayStartReading() {
			w.startReading(r)
			return
		}
		w.giveBack(r)
		w.pump()
	})
	return room{}, false
}

// mayStartReading says whether a reading that has waited is still wanted. w.mu is held.
func (w *worker) mayStartReading() bool {
	return !w.reading.active && w.mayReadAhead() && !w.reading.notBefore.After(w.d.opts.Clock.Now())
}

// giveBack gives back what was taken for a read that is not made.
func (w *worker) giveBack(r room) {
	w.d.memory.give(r.host, r.bytes)
	w.d.readers.give(r.host, 1)
}

// startReading begins to read ahead, with what was taken for it. w.mu is held.
func (w *worker) startReading(r room) {
	if w.reading.active = w.spawn(func(ctx context.Context) { w.read(ctx, r) }); !w.reading.active {
		w.giveBack(r)
	}
}

// read reads ahead and hands the events to their lanes.
func (w *worker) read(ctx context.Context, r room) {
	w.mu.Lock()
	for ok := true; ok; {
		ok = w.readOnce(ctx, r)
		if w.pump(); ok {
			if ok = w.mayReadAhead(); ok {
				r, ok = w.takeRoom()
			}
		}
	}
	w.reading.active = false
	w.pump()
	idle := w.idle()
	w.mu.Unlock()
	w.save(ctx, idle)
}

// readOnce reads a batch, within room that was taken. It returns false if it is no use to go on at once. w.mu is held, but not during the
// reading.
func (w *worker) readOnce(ctx context.Context, r room) bool {
	w.reading.more = false // whoever hints from here on sets it again
	limit := readBatch
	switch {
	case !w.flows:
		limit = fewEvents
	case w.d.readers.contended():
		limit = laneBatch
	}
	query := eventlog.Query{ChannelUID: w.uid, After: w.position, Limit: min(limit, max(maxBuffered-w.buffered, 1)), MaxBytes: r.bytes}
	w.mu.Unlock()
	events, more, err := w.d.opts.Log.Events(ctx, query)
	w.mu.Lock()
	w.d.readers.give(r.host, 1)
	before := w.bufferedBytes
	defer func() { w.fillRoom(r, before) }()
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
	w.waiting.take(e.Sequence)
	w.saved.dirty = true
	if !w.concerns(e) {
		return
	}
	l := w.lanes[e.Lane]
	if l == nil {
		l = &lane{key: e.Lane}
		w.lanes[e.Lane] = l
	}
	if l.admit(e, l.retryAt.IsZero() && w.takes()) {
		w.hold(e)
	}
	if l.retryAt.IsZero() {
		w.makeReady(l)
	}
}

// idle says that nothing is under way. w.mu is held.
func (w *worker) idle() bool { return w.inFlight == 0 && !w.reading.active }
