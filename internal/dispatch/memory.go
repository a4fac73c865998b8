package dispatch

import (
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// readRoom is how many bytes a read ahead may bring; smallRoom the least, and what a sink gets that has not shown yet that it takes events.
	readRoom, smallRoom = 256 << 10, 32 << 10
	// eventOverhead is about what an event takes in memory besides its body, in bytes.
	eventOverhead = 1 << 10
)

// cost is what an event takes in memory, in bytes.
func cost(e *eventlog.Stored) int { return len(e.Body) + eventOverhead }

// hold counts an event that the worker holds; whoever calls it charges the bytes. w.mu is held.
func (w *worker) hold(e *eventlog.Stored) {
	w.buffered++
	w.bufferedBytes += cost(e)
}

// letGo is the opposite, and gives the bytes back. w.mu is held.
func (w *worker) letGo(events ...*eventlog.Stored) {
	bytes := 0
	for _, e := range events {
		bytes += cost(e)
	}
	w.buffered -= len(events)
	w.bufferedBytes -= bytes
	w.d.memory.give(w.chargedTo, bytes)
}

// drop lets go of what a lane holds: it is read again. w.mu is held.
func (w *worker) drop(l *lane) {
	w.letGo(l.queue...)
	l.empty()
}

// shed drops what is not being delivered just now: the sink takes nothing. w.mu is held.
func (w *worker) shed() {
	for _, l := range w.lanes {
		if !l.busy {
			w.drop(l)
		}
	}
}

// takes says whether the sink may take events at the moment, so that they are worth holding. w.mu is held.
func (w *worker) takes() bool { return !w.health.down() && w.config != nil && !w.config.suspend }

// charge has the host pay for what is held from here on. w.mu is held.
func (w *worker) charge(host string) {
	if w.chargedTo != host {
		w.d.memory.give(w.chargedTo, w.bufferedBytes)
		w.d.memory.force(host, w.bufferedBytes)
		w.chargedTo = host
	}
}

// letGoOfAll lets go of everything: nothing is under way. w.mu is held.
func (w *worker) letGoOfAll() {
	w.d.memory.give(w.chargedTo, w.bufferedBytes)
	w.buffered, w.bufferedBytes = 0, 0
}

// room is taken in Dispatcher.memory for events that are about to be read. Reading ahead waits for it. A conversation that is being delivered does
// not, since what it holds is what will make room: where there is none, it reads one event at a time.
type room struct {
	host  string
	bytes int
}

// tryRoom takes as much room as there is, from most down to smallRoom; none if there is less. w.mu is held.
func (w *worker) tryRoom(host string, most int) room {
	for bytes := most; bytes >= smallRoom; bytes /= 2 {
		if w.d.memory.take(host, bytes) {
			return room{host, bytes}
		}
	}
	return room{host: host}
}

// fillRoom replaces what was taken by what the worker holds more than before. w.mu is held.
func (w *worker) fillRoom(r room, before int) {
	w.d.memory.force(w.chargedTo, w.bufferedBytes-before)
	w.d.memory.give(r.host, r.bytes)
}
