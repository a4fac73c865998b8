package outbound

import (
	"context"
	"math"
	"sync"
	"time"
)

const (
	// maxWait is how long a call waits for its turn.
	maxWait = 10 * time.Second
	// maxWaiting is how many calls of one channel wait. More could not have their turn in time at TikTok's rate.
	maxWaiting = 200
)

// Limiter gives permits for calls of one app. *tiktok.Limiter is one.
type Limiter interface {
	Wait(ctx context.Context) error
	Paused() time.Duration
}

// turns gives the permits of each app to its channels in turn, so that none of them waits behind all messages of another one. Within a channel
// it is first come, first served.
type turns struct {
	mu   sync.Mutex
	apps map[string]*queue
}

// queue is of the calls of one app that wait.
type queue struct {
	// channels that wait, in the order of their turns.
	channels []*channelQueue
	byUID    map[string]*channelQueue
	// cancel ends the wait for the next permit when nobody waits any more.
	cancel context.CancelFunc
}

type channelQueue struct {
	uid     string
	waiting []chan struct{}
}

func newTurns() *turns { return &turns{apps: map[string]*queue{}} }

// wait returns when the caller holds a permit. The error is the context's, or a *NotSentError: it would be, or was, too long. perSecond is the
// rate, to tell how long.
func (t *turns) wait(ctx context.Context, app, channelUID string, permits Limiter, perSecond float64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxWait, errTooLong)
	defer cancel()
	turn := make(chan struct{})
	if pause := permits.Paused(); pause > maxWait {
		return tooMany(0, perSecond, pause)
	}
	ahead, ok := t.join(app, channelUID, turn, permits, perSecond)
	if !ok {
		return tooMany(ahead, perSecond, 0)
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !t.leave(app, channelUID, turn) { // the permit came at the same time
		return nil
	}
	if context.Cause(ctx) == errTooLong { //nolint:errorlint // it is that very one
		return tooMany(ahead, perSecond, permits.Paused())
	}
	return ctx.Err()
}

type tooLong struct{}

func (tooLong) Error() string { return "the turn did not come in time" }

var errTooLong error = tooLong{}

func tooMany(ahead int, perSecond float64, pause time.Duration) error {
	after := time.Duration(float64(ahead) / math.Max(perSecond, 0.1) * float64(time.Second))
	return &NotSentError{
		Throttled: true, RetryAfter: max(time.Second, pause+min(after, 5*time.Minute)),
		Explanation: "More messages are being sent than TikTok takes of this app at a time. The message was not sent; send it again later.",
	}
}

// join puts the caller into the queue. ahead is how many go before it, at most; not ok, the caller is not in the queue.
func (t *turns) join(app, channelUID string, turn chan struct{}, permits Limiter, perSecond float64) (ahead int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.apps[app]
	if q == nil {
		q = &queue{byUID: map[string]*channelQueue{}}
		t.apps[app] = q
	}
	own := q.byUID[channelUID]
	place := 0
	if own != nil {
		place = len(own.waiting)
	}
	for _, other := range q.channels { // each of the others has a turn before each of the own channel's
		ahead += min(len(other.waiting), place+1)
	}
	if place >= maxWaiting || float64(ahead) > perSecond*maxWait.Seconds() {
		if len(q.channels) == 0 {
			delete(t.apps, app)
		}
		return ahead, false
	}
	if own == nil {
		own = &channelQueue{uid: channelUID}
		q.byUID[channelUID] = own
		q.channels = append(q.channels, own)
	}
	own.waiting = append(own.waiting, turn)
	if q.cancel == nil {
		var ctx context.Context
		ctx, q.cancel = context.WithCancel(context.Background())
		go t.serve(ctx, app, q, permits)
	}
	return ahead, true
}

// serve hands permits out until nobody waits.
func (t *turns) serve(ctx context.Context, app string, q *queue, permits Limiter) {
	for {
		if permits.Wait(ctx) != nil { // nobody waits any more
			return
		}
		if !t.hand(app, q) {
			return
		}
	}
}

// hand gives a permit to the next in turn. It says whether somebody else waits.
func (t *turns) hand(app string, q *queue) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(q.channels) > 0 {
		own := q.channels[0]
		close(own.waiting[0])
		own.waiting = own.waiting[1:]
		q.channels = q.channels[1:]
		if len(own.waiting) > 0 {
			q.channels = append(q.channels, own)
		} else {
			delete(q.byUID, own.uid)
		}
	}
	return t.goOn(app, q)
}

// leave takes the caller out of the queue; false if its turn came before that.
func (t *turns) leave(app, channelUID string, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-turn:
		return false
	default:
	}
	q := t.apps[app]
	own := q.byUID[channelUID]
	own.waiting = without(own.waiting, turn)
	if len(own.waiting) == 0 {
		delete(q.byUID, channelUID)
		q.channels = without(q.channels, own)
	}
	t.goOn(app, q)
	return true
}

// goOn ends a queue in which nobody waits. t.mu is held.
func (t *turns) goOn(app string, q *queue) bool {
	if len(q.channels) > 0 {
		return true
	}
	q.cancel()
	if t.apps[app] == q {
		delete(t.apps, app)
	}
	return false
}

func without[T comparable](all []T, one T) []T {
	out := make([]T, 0, len(all))
	for _, other := range all {
		if other != one {
			out = append(out, other)
		}
	}
	return out
}
