package tiktok

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

const (
	// abandonedAfter is how long a place in the queue is kept past its time.
	abandonedAfter = time.Minute
	// maxRate stands for any rate beyond it, in requests a second.
	maxRate = 1e6
)

// Limiter spaces the calls of one app. All permits come from one token bucket, so that the rate holds whatever callers do. There are two ways
// to a permit: Reserve queues a key without blocking, so that ten thousand channels that fall due at once need no goroutine each; Wait blocks,
// for the few calls that somebody waits for, and is not made to stand behind that queue.
//
// The bucket holds half a second's worth of permits: enough for the handful of calls that belong together to go at once, and half of what
// TikTok grants a second, so that requests which bunch up on the way still find room there. (TikTok answers an overrun with a pause of
// minutes.) It is safe for concurrent use.
type Limiter struct {
	clock clock.Clock

	mu      sync.Mutex
	rate    float64
	permits *rate.Limiter
	// crowd is how fast Wait may take permits while keys queue: half of the rate, so that neither starves the other.
	crowd *rate.Limiter
	// places are the times at which the queued keys are due.
	places map[string]time.Time
	// tail is the first free place for a new key. front is the first for a key that came when it was due, or later, and found no permit: it
	// must not go back to the end.
	tail, front time.Time
	paused      time.Time
	pauses      int // how many there were
	swept       time.Time
}

// NewLimiter returns a Limiter of so many requests a second; a rate that is not positive counts as one. A nil clock is the real one.
func NewLimiter(requestsPerSecond float64, c clock.Clock) *Limiter {
	if c == nil {
		c = clock.RealClock{}
	}
	l := &Limiter{clock: c, places: map[string]time.Time{}}
	l.rate = sane(requestsPerSecond)
	l.permits = rate.NewLimiter(rate.Limit(l.rate), burst(l.rate))
	l.crowd = newCrowd(l.rate)
	return l
}

func sane(requestsPerSecond float64) float64 {
	if !(requestsPerSecond > 0) { // NaN too
		return 1
	}
	return min(requestsPerSecond, maxRate)
}

// burst is how many permits the bucket holds.
func burst(requestsPerSecond float64) int { return max(1, int(math.Ceil(requestsPerSecond/2))) }

func newCrowd(requestsPerSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(requestsPerSecond/2), max(1, burst(requestsPerSecond)/2))
}

// SetRate changes the rate. Keys keep their order; their places move together or apart. A key that comes back when it was told to learns its
// new time then, and one that could have come earlier loses nothing.
func (l *Limiter) SetRate(requestsPerSecond float64) {
	requestsPerSecond = sane(requestsPerSecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if requestsPerSecond == l.rate {
		return
	}
	now := l.clock.Now()
	from, scale := later(now, l.paused), l.rate/requestsPerSecond
	l.move(from, func(after time.Duration) time.Duration { return time.Duration(float64(after) * scale) })
	l.rate = requestsPerSecond
	l.crowd = newCrowd(l.rate)
	if from.After(now) {
		l.permits = firstAt(from, l.rate)
		return
	}
	l.permits.SetLimitAt(now, rate.Limit(l.rate))
	l.permits.SetBurstAt(now, burst(l.rate))
}

// Pause lets nothing go before the given time: TikTok said that there were too many requests. Afterwards permits come at the rate, beginning
// with one, not with a burst. Keys keep their order. A pause that ends before one in force does nothing.
func (l *Limiter) Pause(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := later(l.clock.Now(), l.paused)
	if !until.After(from) {
		return
	}
	delay := until.Sub(from)
	l.move(from, func(after time.Duration) time.Duration { return after + delay })
	l.paused = until
	l.pauses++
	l.permits = firstAt(until, l.rate)
}

// firstAt is a bucket that holds one permit at the given time, and none before.
func firstAt(at time.Time, requestsPerSecond float64) *rate.Limiter {
	size := burst(requestsPerSecond)
	permits := rate.NewLimiter(rate.Limit(requestsPerSecond), size)
	permits.ReserveN(at, size-1)
	return permits
}

// move gives every place after a time a new distance from it.
func (l *Limiter) move(from time.Time, distance func(time.Duration) time.Duration) {
	moved := func(at time.Time) time.Time {
		if at.After(from) {
			return from.Add(distance(at.Sub(from)))
		}
		return at
	}
	for key, at := range l.places {
		l.places[key] = moved(at)
	}
	l.tail, l.front = moved(l.tail), moved(l.front)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
