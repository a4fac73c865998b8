package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// say stores events of many conversations, interleaved, and returns the ids of each conversation in order.
func (r *rig) say(conversations, each int) map[string][]string {
	r.t.Helper()
	want := map[string][]string{}
	for i := range each {
		for c := range conversations {
			conversation, id := "c"+strconv.Itoa(c), fmt.Sprintf("c%d-%d", c, i)
			if _, err := r.log.Append(r.t.Context(), eventlog.Record{
				ID: id, App: "app", BusinessID: "biz", ChannelUID: uid, Conversation: conversation, Event: "im_receive_msg",
				ReceivedAt: time.Now(), Body: body("im_receive_msg", id, conversation),
			}); err != nil {
				r.t.Fatal(err)
			}
			want[conversation] = append(want[conversation], id)
		}
	}
	return want
}

// byConversation sorts what a sink took.
func (rc *receiver) byConversation() map[string][]string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	got := map[string][]string{}
	for _, id := range rc.taken {
		conversation, _, _ := strings.Cut(id, "-")
		got[conversation] = append(got[conversation], id)
	}
	return got
}

func TestOrderWithinAConversationUnderFailures(t *testing.T) {
	const conversations, each = 40, 30
	var mu sync.Mutex
	inside := map[string]int{}
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		conversation := r.Header.Get("Ce-Subject")
		mu.Lock()
		inside[conversation]++
		two := inside[conversation] > 1
		mu.Unlock()
		if two {
			t.Errorf("two requests at once in conversation %s", conversation)
		}
		if rand.IntN(5) == 0 {
			w.WriteHeader([]int{500, 503, 429, 408}[rand.IntN(4)])
		}
		mu.Lock()
		inside[conversation]--
		mu.Unlock()
	})
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	want := r.say(conversations, each)
	eventually(t, "everything", func() bool { return len(rc.got()) == conversations*each })
	if got := rc.byConversation(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
	eventually(t, "no backlog", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
}

func TestOneConversationHoldsUpNoOther(t *testing.T) {
	release := make(chan struct{})
	var poison atomic.Bool
	poison.Store(true)
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Ce-Subject") {
		case "c3": // hangs
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "c5":
			if poison.Load() {
				w.WriteHeader(500)
			}
		}
	})
	r := newRig(t, nil)
	s := sinkOf("s", rc.URL)
	s.Delivery.Timeout.Duration = time.Minute
	r.apply(channelWith(s))
	const conversations, each = 8, 80 // more than is held in memory
	want := r.say(conversations, each)
	eventually(t, "the other conversations", func() bool { return len(rc.got()) == (conversations-2)*each })
	eventually(t, "the backlog is exact", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 2*each })
	close(release)
	poison.Store(false)
	eventually(t, "everything", func() bool { return len(rc.got()) == conversations*each })
	if got := rc.byConversation(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

// TestTwoConversationsHoldUpNoOther: one hangs, with its next events in memory, and another one's failure is the last that was heard of the sink.
func TestTwoConversationsHoldUpNoOther(t *testing.T) {
	release := make(chan struct{})
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Ce-Subject") {
		case "c0":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "c1":
			w.WriteHeader(500)
		}
	})
	r := newRig(t, nil)
	s := sinkOf("s", rc.URL)
	s.Delivery.Timeout.Duration = 5 * time.Minute
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = 10*time.Millisecond, 10*time.Millisecond
	r.apply(channelWith(s))
	r.put(uid, "first", 18)
	eventually(t, "the third conversation", func() bool { return len(rc.got()) == 6 })
	tried := rc.tried()
	eventually(t, "two more failures", func() bool { return rc.tried() >= tried+2 })
	r.put(uid, "second", 3)
	eventually(t, "what follows in the third conversation", func() bool { return len(rc.got()) == 7 })
	close(release)
}

func TestADownSinkIsProbedAndGoesOnAtOnce(t *testing.T) {
	var up atomic.Bool
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(503)
		}
	})
	clock := stepped{clocktesting.NewFakeClock(time.Now())}
	r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
	s := sinkOf("s", rc.URL)
	const backoff = 400 * time.Millisecond
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = backoff, backoff
	began := clock.Now()
	r.apply(channelWith(s))
	const conversations, each = 100, 5
	want := r.say(conversations, each)
	eventually(t, "some probes", func() bool { clock.Step(backoff / 8); return rc.tried() >= 40 })
	if r.metric("tiktok_operator_sink_failing_seconds", "sink", "s") <= 0 {
		t.Error("the failing sink does not show")
	}
	if r.metric("tiktok_operator_sink_last_outcome", "outcome", "failed") != 1 {
		t.Error("the last outcome does not show")
	}
	// Not each of a hundred conversations is tried: as many as may be under way when it goes down, and the probes, one after the other.
	if tried, passed := rc.tried(), clock.Since(began); tried > 16+int(passed/backoff)+1 {
		t.Errorf("%d attempts within %s", tried, passed)
	}
	eventually(t, "the backlog is exact", func() bool {
		clock.Step(backoff / 8)
		return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == conversations*each
	})
	up.Store(true)
	eventually(t, "everything", func() bool { clock.Step(backoff / 8); return len(rc.got()) == conversations*each })
	if got := rc.byConversation(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
	if r.metric("tiktok_operator_sink_failing_seconds", "sink", "s") != 0 {
		t.Error("the sink still counts as failing")
	}
	if r.metric("tiktok_operator_sink_last_outcome", "outcome", "delivered") != 1 || r.metric("tiktok_operator_sink_last_outcome", "outcome", "failed") != 0 {
		t.Error("the last outcome is not shown, or not alone")
	}
}

// uncounted is a log that cannot count for a while.
type uncounted struct {
	*eventlog.Log
	failures atomic.Int32
}

func (u *uncounted) Pending(ctx context.Context, channelUID string, after eventlog.Position) (eventlog.Backlog, error) {
	if u.failures.Add(-1) >= 0 {
		return eventlog.Backlog{}, &eventlog.UnavailableError{Doing: "counting", Err: errors.New("not now")}
	}
	return u.Log.Pending(ctx, channelUID, after)
}

// TestABacklogThatCannotBeCountedIsCountedLater, although nothing of it is read while the sink is down.
func TestABacklogThatCannotBeCountedIsCountedLater(t *testing.T) {
	r := newRig(t, nil)
	r.wrap = func(l *eventlog.Log) dispatch.EventLog {
		u := &uncounted{Log: l}
		u.failures.Store(4)
		return u
	}
	const conversations, each = 40, 10
	r.apply(channelWith(sinkOf("s", newReceiver(t, always(503)).URL)))
	r.say(conversations, each)
	r.restart() // now it cannot count
	r.apply(channelWith(sinkOf("s", newReceiver(t, always(503)).URL)))
	eventually(t, "the backlog is exact", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == conversations*each })
}

func TestRestartWithConversationsBehind(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if c := r.Header.Get("Ce-Subject"); broken.Load() && (c == "c1" || c == "c4") {
			w.WriteHeader(500)
		}
	})
	r := newRig(t, nil)
	ch := channelWith(sinkOf("s", rc.URL))
	r.apply(ch)
	const conversations, each = 6, 50
	want := r.say(conversations, each)
	eventually(t, "the others", func() bool { return len(rc.got()) == (conversations-2)*each })
	r.restart()
	r.apply(ch)
	eventually(t, "the backlog is counted anew", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 2*each })
	broken.Store(false)
	eventually(t, "everything", func() bool { return len(rc.got()) >= conversations*each })
	if got := rc.byConversation(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

// What is meant for one sink alone does not reach another one whose conversation is behind, and is read from the log again.
func TestReplayForOneSinkDoesNotReachAnotherThatIsBehind(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(500)
		}
	})
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	want := r.put(uid, "before", 1)
	eventually(t, "a failure", func() bool { return rc.tried() > 0 })
	if _, err := r.log.Append(t.Context(), eventlog.Record{
		ID: "other", App: "app", ChannelUID: uid, Conversation: "c0", Event: "im_receive_msg", Sink: "another", Replay: "once",
		Body: body("im_receive_msg", "other", "c0"),
	}); err != nil {
		t.Fatal(err)
	}
	want = append(want, r.put(uid, "after", 1)...)
	eventually(t, "the backlog", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 2 })
	broken.Store(false)
	eventually(t, "its own events", func() bool { return slices.Contains(rc.got(), "after-0") })
	if got := rc.got(); !same(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
