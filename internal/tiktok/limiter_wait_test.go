package tiktok_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// These tests run in synctest's bubbles, where the real clock is a fake one.

func TestWaitKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rate = 200, 10
		l := tiktok.NewLimiter(rate, nil)
		start := time.Now()
		var (
			mu     sync.Mutex
			grants []grant
			wg     sync.WaitGroup
		)
		for range n {
			wg.Go(func() {
				if err := l.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				grants = append(grants, grant{"", time.Now()})
			})
		}
		wg.Wait()
		bounded(t, grants, rate)
		if took, want := time.Since(start), (n-5)*time.Second/rate; (took - want).Abs() > time.Millisecond {
			t.Errorf("it took %s, want %s", took, want)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tiktok.NewLimiter(1, nil)
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		for range 100 { // none of them takes a permit away from others
			if err := l.Wait(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
				t.Fatalf("got %v after %s, want the deadline's error at once", err, time.Since(start))
			}
		}
		cancelled, stop := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, stop)
		if err := l.Wait(cancelled); !errors.Is(err, context.Canceled) || time.Since(start) != 200*time.Millisecond {
			t.Fatalf("got %v after %s, want the context's error after 200ms", err, time.Since(start))
		}
		if err := l.Wait(cancelled); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v for a context that has ended", err)
		}
		if err := l.Wait(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Fatalf("got %v after %s, want a permit after 1s", err, time.Since(start))
		}
	})
}

func TestWaitHonoursPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 10
		l := tiktok.NewLimiter(rate, nil)
		start := time.Now()
		until := start.Add(5 * time.Minute)
		for range 5 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var (
			mu     sync.Mutex
			grants []grant
			wg     sync.WaitGroup
		)
		for range 20 {
			wg.Go(func() {
				if err := l.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				grants = append(grants, grant{"", time.Now()})
			})
		}
		synctest.Wait()
		l.Pause(until) // while all of them sleep, sure of their permits
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Wait(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("in a pause: %v after %s", err, time.Since(start))
		}
		wg.Wait()
		for i, g := range grants {
			if g.at.Before(until) {
				t.Errorf("permit %d in the pause, after %s", i, g.at.Sub(start))
			}
			if i > 0 && g.at.Sub(grants[i-1].at) < 99*time.Millisecond {
				t.Errorf("permit %d comes %s after the one before", i, g.at.Sub(grants[i-1].at))
			}
		}
	})
}

// TestWaitPassesTheQueue: what somebody waits for does not stand behind hundreds of refreshes, and hardly delays them.
func TestWaitPassesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rate = 600, 10
		l := tiktok.NewLimiter(rate, nil)
		start := time.Now()
		var keys sync.WaitGroup
		for i := range n {
			keys.Go(func() {
				for wait := l.Reserve(fmt.Sprint(i)); wait > 0; wait = l.Reserve(fmt.Sprint(i)) {
					time.Sleep(wait)
				}
			})
		}
		const waits = 50
		for range waits {
			time.Sleep(time.Second)
			asked := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := l.Wait(ctx); err != nil || time.Since(asked) > 500*time.Millisecond {
				t.Errorf("got %v after %s", err, time.Since(asked))
			}
			cancel()
		}
		keys.Wait()
		if took, want := time.Since(start), (n+waits)*time.Second/rate; took > want+time.Second {
			t.Errorf("all took %s, want about %s", took, want)
		}
	})
}

// TestWaitSharesWithKeys: a flood of those who wait leaves the queued keys half of the rate.
func TestWaitSharesWithKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rate = 200, 10
		l := tiktok.NewLimiter(rate, nil)
		start := time.Now()
		// The flood ends by itself, so that keys that starve make a failure and not a test without end.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var (
			mu     sync.Mutex
			grants []grant
			keys   sync.WaitGroup
			flood  sync.WaitGroup
		)
		granted := func(key string) {
			mu.Lock()
			defer mu.Unlock()
			grants = append(grants, grant{key, time.Now()})
		}
		for i := range n {
			keys.Go(func() {
				key := fmt.Sprint(i)
				for wait := l.Reserve(key); wait > 0; wait = l.Reserve(key) {
					time.Sleep(wait)
				}
				granted(key)
			})
		}
		synctest.Wait()
		for range 50 {
			flood.Go(func() {
				for l.Wait(ctx) == nil {
					granted("")
				}
			})
		}
		keys.Wait()
		took := time.Since(start)
		cancel()
		flood.Wait()
		waited := 0
		for _, g := range grants {
			if g.key == "" && g.at.Sub(start) <= took {
				waited++
			}
		}
		bounded(t, grants, rate)
		if took > 2*n*time.Second/rate+10*time.Second {
			t.Errorf("the keys took %s: they starve", took)
		}
		if waited < n/2 {
			t.Errorf("%d permits for those who wait beside %d keys: they starve", waited, n)
		}
	})
}
