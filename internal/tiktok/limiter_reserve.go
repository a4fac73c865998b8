package tiktok

import (
	"math"
	"time"
)

// Reserve queues a key. Zero means that it holds a permit now, for one call, and has left the queue. Else it should come back after that
// long: its place is kept, and coming back early only tells the remaining time. A place that is not claimed within a minute of its time is
// given up.
func (l *Limiter) Reserve(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	l.sweep(now)
	at, queued := l.places[key]
	if !queued {
		at = l.place(&l.tail, now)
	}
	if !at.After(now) {
		if !l.paused.After(now) && l.permits.AllowN(now, 1) {
			l.leave(key)
			return 0
		}
		// It is late, as many others may be, or Wait took its permit.
		at = l.place(&l.front, now)
	}
	l.places[key] = at
	return at.Sub(now)
}

// Release gives a key's place up: what it queued for is no longer wanted.
func (l *Limiter) Release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(key)
}

// place takes the first free place of a lane: not before a permit can be there.
func (l *Limiter) place(lane *time.Time, now time.Time) time.Time {
	missing := max(0, 1-l.permits.TokensAt(now))
	permit := now.Add(time.Duration(math.Ceil(missing / l.rate * float64(time.Second))))
	at := later(later(*lane, l.paused), permit)
	*lane = at.Add(time.Duration(float64(time.Second) / l.rate))
	return at
}

// leave removes a key. Nobody queues behind an empty queue's places.
func (l *Limiter) leave(key string) {
	delete(l.places, key)
	if len(l.places) == 0 {
		l.tail, l.front = time.Time{}, time.Time{}
	}
}

// sweep removes abandoned places, once in a while.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < abandonedAfter {
		return
	}
	l.swept = now
	for key, at := range l.places {
		if now.Sub(later(at, l.paused)) > abandonedAfter {
			l.leave(key)
		}
	}
}
