package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
)

// asked counts how often a log is asked for what others left.
type asked struct {
	*brokenLog
	n atomic.Int64
}

func (a *asked) LeftByOthers(ctx context.Context, app, businessID string) (bool, error) {
	a.n.Add(1)
	return a.brokenLog.LeftByOthers(ctx, app, businessID)
}

// replica is a fixture whose log is on a server that it shares with others.
func replica(t *testing.T, url string) (*fixture, *asked) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	counts := &asked{brokenLog: &brokenLog{EventLog: log}}
	f := setupWith(t, func(o *ingest.Options) {
		o.Log, o.Router = counts, ingest.NewRouter(o.Reader, counts, logr.Discard())
		o.Router.UseClock(o.Clock)
	})
	f.log, f.broken = log, counts.brokenLog
	return f, counts
}

// TestReplicasKeepTheOrderOfUnroutedEvents: one replica knows the channel and has moved what waited for it. What another acknowledges that does not
// know it yet, or is still moving, comes before what the first one acknowledges later.
func TestReplicasKeepTheOrderOfUnroutedEvents(t *testing.T) {
	url := eventlogtest.Server(t, &server.Options{}).ClientURL()
	knows, _ := replica(t, url)
	late, _ := replica(t, url)
	if err := knows.client.Create(t.Context(), channel("ch", "uid-1", business)); err != nil {
		t.Fatal(err)
	}
	n := 0
	post := func(f *fixture) {
		t.Helper()
		n++
		if w := f.post("/webhooks/app", text(fmt.Sprint(n), "c"), secret); w.Code != http.StatusOK {
			t.Fatalf("event %d: %d %s", n, w.Code, w.Body)
		}
	}
	check := func(when string) {
		t.Helper()
		var want []string
		for i := 1; i <= n; i++ {
			want = append(want, fmt.Sprint(i))
		}
		if got := knows.messages(t, "uid-1"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: got %v, want %v", when, got, want)
		}
	}
	post(knows)
	for range 3 {
		post(late)
		post(knows)
	}
	check("one does not know the channel")

	late.broken.routing = make(chan struct{})
	if err := late.client.Create(t.Context(), channel("ch", "uid-1", business)); err != nil {
		t.Fatal(err)
	}
	post(late) // waits for a while
	post(knows)
	post(late)
	post(knows)
	check("one is still moving")
	close(late.broken.routing)
	post(late)
	post(knows)
	check("both know the channel")
}

// TestAnotherReplicaIsNotWaitedForForEver: what each event costs more is over when others must have learned of the channel.
func TestAnotherReplicaIsNotWaitedForForEver(t *testing.T) {
	f, asked := replica(t, eventlogtest.Server(t, &server.Options{}).ClientURL())
	if err := f.client.Create(t.Context(), channel("ch", "uid-1", business)); err != nil {
		t.Fatal(err)
	}
	post := func(id string) {
		t.Helper()
		if w := f.post("/webhooks/app", text(id, "c"), secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	post("1")
	post("2")
	if n := asked.n.Load(); n != 2 {
		t.Errorf("asked %d times for two events", n)
	}
	f.clock.Step(11 * time.Minute)
	post("3")
	if n := asked.n.Load(); n != 2 {
		t.Errorf("asked %d times, later too", n)
	}
}

// slow is a log of which others left nothing, which it says when it is let.
type slow struct {
	ingest.EventLog
	asked   int
	release chan struct{}
}

func (s *slow) LeftByOthers(context.Context, string, string) (bool, error) {
	s.asked++
	<-s.release
	return false, nil
}

func (s *slow) RouteUnrouted(context.Context, string, string, string, func(context.Context, eventlog.Record) error) (int, error) {
	return 0, nil
}

// TestOneQuestionIsForAllThatCameBeforeIt: an answer to a question that was asked before an event came says nothing of it.
func TestOneQuestionIsForAllThatCameBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &slow{release: make(chan struct{})}
		router, ch := ingest.NewRouter(nil, log, logr.Discard()), channel("ch", "uid-1", business)
		var events sync.WaitGroup
		come := func(n int) {
			for range n {
				events.Go(func() {
					if ready, err := router.Ready(t.Context(), ch); !ready || err != nil {
						t.Errorf("%v, %v", ready, err)
					}
				})
			}
			synctest.Wait()
		}
		come(1)
		come(10)
		if log.asked != 1 {
			t.Errorf("asked %d times before the first answer", log.asked)
		}
		log.release <- struct{}{}
		synctest.Wait()
		come(5)
		if log.asked != 2 {
			t.Errorf("asked %d times before the second answer", log.asked)
		}
		close(log.release)
		events.Wait()
		if log.asked != 3 {
			t.Errorf("asked %d times in all", log.asked)
		}
	})
}
