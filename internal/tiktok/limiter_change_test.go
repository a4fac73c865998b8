package tiktok_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func TestPause(t *testing.T) {
	const n, rate = 1000, 10
	c := newCrowd(t, rate)
	c.arrive(n)
	start, until := epoch.Add(20*time.Second), epoch.Add(50*time.Second)
	c.run(start, nil)
	before := len(c.granted)
	c.limiter.Pause(until)
	c.limiter.Pause(start.Add(time.Second)) // shorter: nothing
	c.limiter.Pause(epoch)                  // past: nothing
	if wait := c.limiter.Reserve("one more"); wait < until.Sub(start) {
		t.Errorf("a new key may come back after %s", wait)
	}
	c.limiter.Release("one more")
	c.run(forever(), nil)
	c.each(n)
	for i, g := range c.granted {
		if g.at.After(start) && g.at.Before(until) {
			t.Fatalf("permit %d in the pause, after %s", i, g.at.Sub(epoch))
		}
		if g.key != fmt.Sprintf("key-%05d", i) {
			t.Fatalf("permit %d went to %s: the order is lost", i, g.key)
		}
	}
	after := c.granted[before:]
	if after[0].at.Sub(until) > 200*time.Millisecond {
		t.Errorf("the first goes %s after the pause", after[0].at.Sub(until))
	}
	for i := 1; i < len(after); i++ {
		if gap := after[i].at.Sub(after[i-1].at); gap < 99*time.Millisecond || gap > 201*time.Millisecond {
			t.Fatalf("permit %d after the pause is %s after the one before: no burst, no gap", i, gap)
		}
	}
}

// TestPauseWhileIdle: nobody queues when the pause begins, and all come when it ends.
func TestPauseWhileIdle(t *testing.T) {
	const rate = 10
	c := newCrowd(t, rate)
	c.limiter.Pause(epoch.Add(time.Minute))
	c.clock.Step(time.Minute)
	c.arrive(100)
	c.run(forever(), nil)
	c.each(100)
	for i := 1; i < 100; i++ {
		if gap := c.granted[i].at.Sub(c.granted[i-1].at); gap < 99*time.Millisecond {
			t.Fatalf("permit %d comes %s after the one before", i, gap)
		}
	}
}

func TestSetRate(t *testing.T) {
	const n = 1000
	t.Run("slower", func(t *testing.T) {
		c := newCrowd(t, 10)
		c.arrive(n)
		c.run(epoch.Add(20*time.Second), nil)
		before := len(c.granted)
		c.limiter.SetRate(2)
		c.run(forever(), nil)
		c.each(n)
		bounded(t, c.granted[before:], 2)
		if took, want := c.clock.Now().Sub(epoch), 20*time.Second+time.Duration(n-before)*time.Second/2; (took - want).Abs() > 5*time.Second {
			t.Errorf("it took %s, want about %s", took, want)
		}
	})
	t.Run("faster", func(t *testing.T) {
		clock := clocktesting.NewFakeClock(epoch)
		l := tiktok.NewLimiter(1, clock)
		for i := range 101 {
			l.Reserve(fmt.Sprint(i))
		}
		l.SetRate(10)
		for i := 1; i <= 100; i++ {
			if wait, want := l.Reserve(fmt.Sprint(i)), time.Duration(i)*time.Second/10; (wait - want).Abs() > time.Millisecond {
				t.Fatalf("key %d waits %s, want %s", i, wait, want)
			}
		}
		if wait := l.Reserve("new"); (wait - 10100*time.Millisecond).Abs() > time.Millisecond {
			t.Errorf("a new key waits %s", wait)
		}
	})
	t.Run("in a pause", func(t *testing.T) {
		c := newCrowd(t, 10)
		c.limiter.Pause(epoch.Add(time.Minute))
		c.arrive(100)
		c.run(epoch.Add(30*time.Second), nil)
		c.limiter.SetRate(20)
		c.run(forever(), nil)
		c.each(100)
		c.bounded(20)
		if first := c.granted[0].at.Sub(epoch); first < time.Minute || first > time.Minute+time.Second {
			t.Errorf("the first goes after %s", first)
		}
		if c.granted[5].at.Equal(c.granted[0].at) {
			t.Error("the pause ends in a burst")
		}
	})
	t.Run("to the same, or to nonsense", func(t *testing.T) {
		for _, rate := range []float64{0, -1, math.NaN(), math.Inf(-1), 1} {
			clock := clocktesting.NewFakeClock(epoch)
			l := tiktok.NewLimiter(rate, clock)
			l.Reserve("a")
			l.SetRate(rate)
			if wait := l.Reserve("b"); wait != time.Second {
				t.Errorf("at %v requests a second b waits %s", rate, wait)
			}
		}
		for _, rate := range []float64{math.Inf(1), math.MaxFloat64, 1e9} {
			l := tiktok.NewLimiter(rate, clocktesting.NewFakeClock(epoch))
			for i := range 1000 {
				if wait := l.Reserve(fmt.Sprint(i)); wait > time.Second {
					t.Fatalf("at %v requests a second key %d waits %s", rate, i, wait)
				}
			}
		}
	})
}
