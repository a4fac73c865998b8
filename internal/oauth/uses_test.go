package oauth_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
)

func TestMemoryUses(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	c := clocktesting.NewFakePassiveClock(start)
	uses := oauth.NewMemoryUses(c)
	use := func(id string, until time.Time) bool {
		t.Helper()
		first, err := uses.UseOnce(context.Background(), id, until)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	if !use("a", start.Add(time.Minute)) || use("a", start.Add(time.Minute)) || !use("b", start.Add(time.Minute)) {
		t.Error("an id was used twice, or another one not at all")
	}
	c.SetTime(start.Add(59 * time.Second))
	if use("a", start.Add(time.Minute)) {
		t.Error("forgotten too early")
	}
	// Those that are over make room.
	for i := range 5000 {
		c.SetTime(start.Add(time.Duration(i) * time.Minute))
		use(fmt.Sprint("id", i), c.Now().Add(30*time.Second))
	}
}

func TestMemoryUsesIsAtomic(t *testing.T) {
	uses := oauth.NewMemoryUses(nil)
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if ok, err := uses.UseOnce(context.Background(), "one", time.Now().Add(time.Minute)); err == nil && ok {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 {
		t.Errorf("first %d times", first.Load())
	}
}

func TestMemoryUsesIsBounded(t *testing.T) {
	uses := oauth.NewMemoryUses(nil)
	until := time.Now().Add(time.Hour)
	for i := range 1 << 20 {
		if _, err := uses.UseOnce(context.Background(), fmt.Sprint(i), until); err != nil {
			return
		}
	}
	t.Fatal("it remembers without end")
}
