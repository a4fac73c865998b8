package tiktok_test

import (
	"container/heap"
	"fmt"
	"math"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// crowd plays many keys that each come back when they were told to, on a fake clock.
type crowd struct {
	t       *testing.T
	clock   *clocktesting.FakeClock
	limiter *tiktok.Limiter
	due     visits
	asked   int
	granted []grant
	byKey   map[string]int
	// latency is how much later than told a key comes back.
	latency func(key string) time.Duration
}

type grant struct {
	key string
	at  time.Time
}

func newCrowd(t *testing.T, rate float64) *crowd {
	clock := clocktesting.NewFakeClock(epoch)
	return &crowd{
		t: t, clock: clock, limiter: tiktok.NewLimiter(rate, clock), byKey: map[string]int{},
		latency: func(string) time.Duration { return 0 },
	}
}

func (c *crowd) arrive(n int) {
	for i := range n {
		heap.Push(&c.due, visit{fmt.Sprintf("key-%05d", i), c.clock.Now(), len(c.due)})
	}
}

// run lets time pass until all keys have gone, or until a time. It calls between before each visit.
func (c *crowd) run(until time.Time, between func()) {
	for len(c.due) > 0 {
		next := c.due[0]
		if next.at.After(until) {
			c.clock.SetTime(until)
			return
		}
		heap.Pop(&c.due)
		if next.at.After(c.clock.Now()) {
			c.clock.SetTime(next.at)
		}
		if between != nil {
			between()
		}
		c.asked++
		if wait := c.limiter.Reserve(next.key); wait > 0 {
			heap.Push(&c.due, visit{next.key, c.clock.Now().Add(wait + c.latency(next.key)), c.asked})
			continue
		}
		c.granted = append(c.granted, grant{next.key, c.clock.Now()})
		c.byKey[next.key]++
	}
}

// each checks that every key went exactly once.
func (c *crowd) each(n int) {
	c.t.Helper()
	if len(c.granted) != n || len(c.byKey) != n {
		c.t.Fatalf("%d permits for %d keys, want one for each of %d", len(c.granted), len(c.byKey), n)
	}
}

// bounded checks that no window of any length saw more permits than the rate and one burst.
func (c *crowd) bounded(rate float64) {
	c.t.Helper()
	bounded(c.t, c.granted, rate)
}

func bounded(t *testing.T, grants []grant, rate float64) {
	t.Helper()
	// A bucket that leaks at the rate and never overflows is the same as a check of every window.
	burst, level := math.Max(1, math.Ceil(rate/2)), 0.0
	for i, g := range grants {
		if i > 0 {
			level = math.Max(0, level-g.at.Sub(grants[i-1].at).Seconds()*rate)
		}
		if level++; level > burst+1e-6 {
			t.Fatalf("permit %d, after %s, is %.3f above the burst of %.0f", i, g.at.Sub(epoch), level-burst, burst)
		}
	}
}

type visit struct {
	key string
	at  time.Time
	seq int
}

type visits []visit

func (v visits) Len() int { return len(v) }
func (v visits) Less(i, j int) bool {
	return v[i].at.Before(v[j].at) || (v[i].at.Equal(v[j].at) && v[i].seq < v[j].seq)
}
func (v visits) Swap(i, j int) { v[i], v[j] = v[j], v[i] }
func (v *visits) Push(x any)   { *v = append(*v, x.(visit)) }
func (v *visits) Pop() any {
	last := (*v)[len(*v)-1]
	*v = (*v)[:len(*v)-1]
	return last
}

const never = 1 << 60

func forever() time.Time { return epoch.Add(never) }

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
