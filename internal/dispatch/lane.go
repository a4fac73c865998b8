package dispatch

import (
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// lane is a conversation in which the sink has events to take. Its events are delivered one after the other; lanes do not wait for each
// other.
type lane struct {
	key string
	// first is where the first event that is not done is looked for, last the newest event that the reading ahead came across.
	first, last uint64
	// queue are events from first on, without a gap; complete says that they reach to last.
	queue    []*eventlog.Stored
	complete bool
	// pending is how many events wait. Of a lane that was taken over from a stored state it is not known until they are counted: at least so
	// many. Of these, restored are among those up to through.
	pending, restored uint64
	uncounted         bool
	through           uint64
	// since is when the first event was stored, as far as it is known.
	since time.Time

	// attempts of the first event that failed.
	attempts int
	// A lane is busy (being delivered), ready (in the queue for that), or waits until retryAt after a failure.
	busy, ready bool
	retryAt     time.Time
}

// restoredLane is a lane of a stored state.
func restoredLane(key string, u eventlog.Undone, through uint64) *lane {
	return &lane{
		key: key, first: u.Sequence, last: through, attempts: u.Attempts, pending: u.Pending, restored: u.Pending, uncounted: true, through: through,
	}
}

// count takes over how many events up to through there are, and says how many that there were are gone.
func (l *lane) count(n uint64) (gone uint64) {
	gone = l.restored - min(l.restored, n)
	l.pending = l.pending - l.restored + n
	l.restored, l.uncounted = 0, false
	return gone
}

// waiting is how many events wait, as far as it is known; one at least while that is uncertain.
func (l *lane) waiting() uint64 {
	if l.uncounted && !l.finished() {
		return max(l.pending, 1)
	}
	return l.pending
}

// admit adds an event that the reading ahead came across. keep says whether there is room to hold it; else it is read again later.
func (l *lane) admit(e *eventlog.Stored, keep bool) (kept bool) {
	if l.last == 0 {
		l.first, l.since, l.complete = e.Sequence, e.StoredAt, true
	}
	l.last = e.Sequence
	l.pending++
	if kept = keep && l.complete; kept {
		l.queue = append(l.queue, e)
	}
	l.complete = kept
	return kept
}

// done moves the lane past its first event.
func (l *lane) done(e *eventlog.Stored) {
	l.first, l.attempts, l.since = e.Sequence+1, 0, time.Time{}
	l.pending -= min(l.pending, 1)
	l.restored -= min(l.restored, 1)
	if len(l.queue) > 0 {
		l.queue = l.queue[1:]
	}
	if len(l.queue) > 0 {
		l.since = l.queue[0].StoredAt
	}
}

// fill takes the events that were read from the log, from first to through, which was last at that time. It says how many events that there were
// are gone.
func (l *lane) fill(events []*eventlog.Stored, through uint64) (gone uint64) {
	for _, e := range events {
		if e.Sequence > through {
			break
		}
		l.queue = append(l.queue, e)
	}
	if len(l.queue) == 0 { // what there was has reached the end of its retention
		l.first = through + 1
		if l.first > l.last {
			gone, l.pending, l.restored, l.uncounted = l.pending, 0, 0, false
		}
		return gone
	}
	l.complete = l.queue[len(l.queue)-1].Sequence == l.last
	l.since = l.queue[0].StoredAt
	return 0
}

// empty lets go of what is held.
func (l *lane) empty() {
	l.queue, l.complete = nil, false
}

// finished says that nothing is left to do.
func (l *lane) finished() bool { return len(l.queue) == 0 && l.first > l.last }
