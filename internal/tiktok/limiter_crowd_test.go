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
