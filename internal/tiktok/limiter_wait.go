package tiktok

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

// Wait returns when the caller holds a permit, for one call, or the context's error. It returns that at once where the permit would come
// after the context's deadline. While keys queue, those who wait share half of the rate.
func (l *Limiter) Wait(ctx context.Context) error {
	admitted := false
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := l.next(&admitted)
		if err := l.sleep(ctx, s.delay); err != nil {
			l.giveBack(s)
			return err
		}
		if s.permit && l.stands(s) {
			return nil
		}
	}
}

// step is what a caller of Wait does next: it sleeps, and then goes if it has a permit, or looks again.
type step struct {
	delay  time.Duration
	permit bool
	taken  *rate.Reservation
	pauses int
}

func (l *Limiter) next(admitted *bool) step {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	s := step{pauses: l.pauses}
	switch {
	case l.paused.After(now):
		s.delay = l.paused.Sub(now)
		return s
	case !*admitted && len(l.places) > 0:
		*admitted = true
		s.taken = l.crowd.ReserveN(now, 1)
	default:
		*admitted = true
		s.permit, s.taken = true, l.permits.ReserveN(now, 1)
	}
	s.delay = s.taken.DelayFrom(now)
	return s
}

// stands says whether a permit is still good: a pause that began meanwhile took it back.
func (l *Limiter) stands(s step) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.pauses == l.pauses
}

// Paused is how long nothing goes yet, because TikTok said that there were too many requests; zero if something may.
func (l *Limiter) Paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.paused.Sub(l.clock.Now()))
}

func (l *Limiter) giveBack(s step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.taken != nil {
		s.taken.CancelAt(l.clock.Now())
	}
}

func (l *Limiter) sleep(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(l.clock.Now()) < delay {
		return fmt.Errorf("the next one comes in %s: %w", delay.Round(time.Millisecond), context.DeadlineExceeded)
	}
	timer := l.clock.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
