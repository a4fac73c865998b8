package tiktok_test

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTenThousandKeysAtOnce(t *testing.T) {
	const n, rate, burst = 10_000, 10, 5
	c := newCrowd(t, rate)
	c.arrive(n)
	c.run(forever(), nil)
	c.each(n)
	c.bounded(rate)
	if c.asked != 2*n-burst {
		t.Errorf("%d questions for %d keys: each is to ask once, and once more when it is due", c.asked, n)
	}
	for i, g := range c.granted {
		// A burst, and then one every tenth of a second, in the order in which they came.
		want := epoch.Add(time.Duration(max(0, i-burst+1)) * time.Second / rate)
		if g.key != fmt.Sprintf("key-%05d", i) || g.at.Sub(want).Abs() > time.Millisecond {
			t.Fatalf("permit %d went to %s after %s, want it after %s", i, g.key, g.at.Sub(epoch), want.Sub(epoch))
		}
	}
}

// TestComingEarlyOrAgain: a reconciler looks at its channel for many reasons.
func TestComingEarlyOrAgain(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	l := tiktok.NewLimiter(1, clock)
	if wait := l.Reserve("a"); wait != 0 {
		t.Fatalf("the first waits %s", wait)
	}
	b, c := l.Reserve("b"), l.Reserve("c")
	if b != time.Second || c != 2*time.Second {
		t.Fatalf("b waits %s and c %s", b, c)
	}
	for range 100 {
		if again := l.Reserve("c"); again != c {
			t.Fatalf("c waits %s when it asks again", again)
		}
	}
	clock.Step(700 * time.Millisecond)
	if b := l.Reserve("b"); b != 300*time.Millisecond {
		t.Errorf("b waits another %s", b)
	}
	clock.Step(300 * time.Millisecond)
	if b := l.Reserve("b"); b != 0 {
		t.Errorf("b waits another %s at its time", b)
	}
	// A key that went and wants another permit stands behind all others.
	if b := l.Reserve("b"); b != 2*time.Second {
		t.Errorf("b waits %s for its second permit", b)
	}
}

// TestBumpedKeysStayInFront: a key whose permit another one took must not go back to the end of the queue.
func TestBumpedKeysStayInFront(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	l := tiktok.NewLimiter(1, clock)
	for i := range 100 {
		l.Reserve(fmt.Sprint(i))
	}
	clock.Step(time.Second)
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if wait := l.Reserve("1"); wait <= 0 || wait > 2*time.Second {
		t.Errorf("the key whose turn it was waits %s", wait)
	}
}

func TestLateKeysKeepTheRate(t *testing.T) {
	const n, rate = 2000, 10
	for name, latency := range map[string]func(string) time.Duration{
		"all a little":   func(string) time.Duration { return 70 * time.Millisecond },
		"all by seconds": func(string) time.Duration { return 7 * time.Second },
		"some":           func(key string) time.Duration { return time.Duration(key[len(key)-1]-'0') * 33 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, rate)
			c.latency = latency
			c.arrive(n)
			c.run(forever(), nil)
			c.each(n)
			c.bounded(rate)
			if took := c.clock.Now().Sub(epoch); took > n*time.Second/rate+30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestStall: for half a minute no key comes back, as when the API server is away; then all do.
func TestStall(t *testing.T) {
	const n, rate = 1000, 10
	c := newCrowd(t, rate)
	c.arrive(n)
	c.run(epoch.Add(10*time.Second), nil)
	c.clock.Step(30 * time.Second)
	c.run(forever(), nil)
	c.each(n)
	c.bounded(rate)
	if took := c.clock.Now().Sub(epoch); took > 135*time.Second {
		t.Errorf("it took %s, want the half minute more than 100 s, and a little", took)
	}
	if c.asked > 4*n {
		t.Errorf("%d questions for %d keys", c.asked, n)
	}
}

func TestAbandonedPlaces(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	l := tiktok.NewLimiter(1, clock)
	for i := range 1000 {
		l.Reserve(fmt.Sprint(i))
	}
	if wait := l.Reserve("late"); wait != 1000*time.Second {
		t.Fatalf("a new key waits %s", wait)
	}
	// Nobody comes back. Their places go, and with the last of them the queue.
	clock.Step(1000*time.Second + 2*time.Minute)
	if wait := l.Reserve("fresh"); wait != 0 {
		t.Errorf("after all places were abandoned a key waits %s", wait)
	}
	for i := range 50 {
		l.Reserve(fmt.Sprint("fresh", i))
	}
	if wait := l.Reserve("late"); wait != 51*time.Second {
		t.Errorf("a key that comes back after its place is gone waits %s, not as long as a new one", wait)
	}
}

func TestRelease(t *testing.T) {
	l := tiktok.NewLimiter(1, clocktesting.NewFakeClock(epoch))
	for i := range 1000 {
		l.Reserve(fmt.Sprint(i))
	}
	l.Release("unknown")
	for i := range 1000 {
		l.Release(fmt.Sprint(i))
	}
	if wait := l.Reserve("new"); wait != time.Second {
		t.Errorf("with nobody in the queue a key waits %s", wait)
	}
}
