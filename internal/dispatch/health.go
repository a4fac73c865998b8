package dispatch

import (
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// breakAfter is how many conversations must have failed in a row, without a success in between, before a sink counts as down. One
// conversation alone does not: it may be its event that is at fault.
const breakAfter = 3

// health is what is known of a sink: the circuit breaker.
type health struct {
	// since is when the first of the failures in a row was; zero if the last attempt was good.
	since time.Time
	// good is when the first success was after the failures, or after the beginning; zero if there was none.
	good time.Time
	// problem is what the last failure was, in words.
	problem string
	// lanes that failed in a row, up to breakAfter. restored says that there were so many before this process served the sink.
	lanes    map[string]bool
	restored bool
	// unread says that the API server did not tell where the sink is, or with what credentials. The sink is not failing, but not asked either.
	unread bool
	// forbidden is what the operator may not read of that, and forbiddenSince is since when the API server has said so each time that it was asked.
	forbidden      string
	forbiddenSince time.Time
	// While the sink is down, one attempt is made at a time, at retryAt.
	probes  int
	retryAt time.Time
}

func (h *health) down() bool { return h.unread || h.restored || len(h.lanes) >= breakAfter }

func (h *health) failing() bool { return !h.since.IsZero() }

// remembered is what a stored state says: a restart makes no sink healthy, nor its events younger.
func remembered(f *eventlog.Failing) health {
	if f == nil {
		return health{}
	}
	return health{since: f.Since, problem: f.Problem, restored: f.Down}
}

// changed is what remains once the sink was changed: it is tried at once, and has failed for as long as before if it fails.
func (h *health) changed() health { return health{since: h.since, problem: h.problem} }

// succeeded notes that the sink took an event, or refused it in a way that shows it alive; recovered says that it was down.
func (h *health) succeeded(now time.Time) (recovered bool) {
	recovered = h.down()
	good := h.good
	if good.IsZero() {
		good = now
	}
	*h = health{good: good}
	return recovered
}

// failed notes a failure of a lane. wait is the sink's back-off after a number of failed probes.
func (h *health) failed(lane, problem string, now time.Time, probe bool, wait func(probes int) time.Duration) {
	if !h.failing() {
		h.since, h.good = now, time.Time{}
	}
	h.problem, h.unread, h.forbidden, h.forbiddenSince = problem, false, "", time.Time{}
	wasDown := h.down()
	if !wasDown {
		if h.lanes == nil {
			h.lanes = map[string]bool{}
		}
		h.lanes[lane] = true
	}
	if h.down() && (probe || !wasDown) {
		h.probes++
		h.retryAt = now.Add(wait(h.probes))
	}
}

// postponed notes that the sink could not be asked, and when that is tried again; and what the operator may not read, if it is for that.
func (h *health) postponed(now, until time.Time, forbidden string) {
	h.unread, h.retryAt, h.forbidden = true, until, forbidden
	switch {
	case forbidden == "":
		h.forbiddenSince = time.Time{}
	case h.forbiddenSince.IsZero():
		h.forbiddenSince, h.good = now, time.Time{}
	}
}

// trouble says in a sentence what has kept the sink from taking events for long enough to tell of it, and since when; "" if nothing has.
func (h *health) trouble(now time.Time) (problem string, since time.Time) {
	switch {
	case h.forbidden != "" && now.Sub(h.forbiddenSince) > failingAfter:
		return forbiddenPrefix + h.forbidden + ".", h.forbiddenSince
	case h.failing() && now.Sub(h.since) > failingAfter:
		return "Every attempt fails: " + h.problem + ".", h.since
	default:
		return "", time.Time{}
	}
}

// ended notes how an attempt ended, unless it was given up.
func (w *worker) ended(o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o != outcomeCancelled {
		w.last = o
	}
}

// lastOutcome is how the last attempt ended; "" before the first, and while another replica serves the channel.
func (w *worker) lastOutcome() outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// failingSince is since when every attempt has failed; zero if the last one was good.
func (w *worker) failingSince() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.since
}
