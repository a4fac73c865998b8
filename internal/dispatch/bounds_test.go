package dispatch_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// measured is an event log that counts the bytes of the events that were read from it for the channels of a crowd.
type measured struct {
	*eventlog.Log
	crowd string
	bytes atomic.Int64
}

func (m *measured) Events(ctx context.Context, q eventlog.Query) ([]*eventlog.Stored, bool, error) {
	events, more, err := m.Log.Events(ctx, q)
	for _, e := range events {
		if !strings.HasPrefix(q.ChannelUID, "uid-"+m.crowd) {
			break
		}
		m.bytes.Add(int64(len(e.Body)))
	}
	return events, more, err
}

// crowd is a number of channels that each have one sink, and events of several conversations.
func (r *rig) crowd(name, address string, channels, conversations, each int) (want map[string][]string) {
	r.t.Helper()
	want = map[string][]string{}
	for c := range channels {
		of := name + strconv.Itoa(c)
		for i := range each {
			for conversation := range conversations {
				id := fmt.Sprintf("%s.%d-%d", of, conversation, i)
				lane := of + "." + strconv.Itoa(conversation)
				if _, err := r.log.Append(r.t.Context(), eventlog.Record{
					ID: id, App: "app", ChannelUID: "uid-" + of, Conversation: lane, Event: "im_receive_msg", Body: body("im_receive_msg", id, lane),
				}); err != nil {
					r.t.Fatal(err)
				}
				want[lane] = append(want[lane], id)
			}
		}
	}
	for c := range channels {
		of := name + strconv.Itoa(c)
		s := sinkOf("s", address)
		s.Delivery.Timeout.Duration = time.Minute
		ch := channelWith(s)
		ch.Name, ch.UID = of, types.UID("uid-"+of)
		r.apply(ch)
	}
	return want
}

// hanging answers nothing until it is released, and counts what waits for an answer.
type hanging struct {
	release  chan struct{}
	now, top atomic.Int64
}

func (h *hanging) answer(_ int, w http.ResponseWriter, r *http.Request) {
	if !h.wait(r.Context()) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// wait returns false if the context ended before the release.
func (h *hanging) wait(ctx context.Context) bool {
	now := h.now.Add(1)
	defer h.now.Add(-1)
	for top := h.top.Load(); now > top && !h.top.CompareAndSwap(top, now); top = h.top.Load() {
	}
	select {
	case <-h.release:
		return true
	case <-ctx.Done():
		return false
	}
}

// slowLog is an event log whose reading ahead hangs for the channels of a crowd.
type slowLog struct {
	*eventlog.Log
	hanging
	crowd string
}

func (s *slowLog) Events(ctx context.Context, q eventlog.Query) ([]*eventlog.Stored, bool, error) {
	if q.Lane == "" && strings.HasPrefix(q.ChannelUID, "uid-"+s.crowd) {
		s.wait(ctx)
	}
	return s.Log.Events(ctx, q)
}

// A host that hangs gets half of the deliveries that may be under way, however many channels have a sink there, and delays no other host.
func TestAHostThatHangsLeavesPlacesToOthers(t *testing.T) {
	const places = 24
	h := &hanging{release: make(chan struct{})}
	hangs, alive := newReceiver(t, h.answer), newReceiver(t, nil)
	r := newRig(t, func(o *dispatch.Options) { o.MaxInFlight = places })
	slow := r.crowd("slow", hangs.URL, 30, 4, 3)
	eventually(t, "its share is under way", func() bool { return h.now.Load() == places/2 })
	quick := r.crowd("quick", alive.URL, 30, 4, 3)
	eventually(t, "the events of the other host", func() bool { return len(alive.got()) == 30*4*3 })
	if got := alive.byConversation(); fmt.Sprint(got) != fmt.Sprint(quick) {
		t.Fatalf("got %v\nwant %v", got, quick)
	}
	if now := h.now.Load(); now != places/2 {
		t.Fatalf("%d deliveries wait for the host that hangs", now)
	}
	close(h.release)
	eventually(t, "the events of the host that hung", func() bool { return len(hangs.got()) == 30*4*3 })
	if got := hangs.byConversation(); fmt.Sprint(got) != fmt.Sprint(slow) {
		t.Fatalf("got %v\nwant %v", got, slow)
	}
	if top := h.top.Load(); top > places/2 {
		t.Errorf("%d deliveries at once at one host", top)
	}
}

// What is read ahead is bounded for all sinks together, also while a host with many channels hangs, and other hosts' events are read.
func TestWhatIsReadAheadIsBounded(t *testing.T) {
	const held = 256 << 10
	h := &hanging{release: make(chan struct{})}
	hangs, alive := newReceiver(t, h.answer), newReceiver(t, nil)
	var log *measured
	r := newRig(t, nil)
	eventually(t, "the start", func() bool { _, err := r.d.Known(t.Context()); return err == nil })
	r.stop()
	r.wrap = func(l *eventlog.Log) dispatch.EventLog { log = &measured{Log: l, crowd: "slow"}; return log }
	r.options.MaxHeldBytes, r.options.MaxInFlight = held, 32
	r.start()
	slow := r.crowd("slow", hangs.URL, 40, 2, 20)
	eventually(t, "some are under way", func() bool { return h.now.Load() >= 8 })
	quick := r.crowd("quick", alive.URL, 40, 2, 20)
	eventually(t, "the events of the other host", func() bool { return len(alive.got()) == 40*2*20 })
	if got := alive.byConversation(); fmt.Sprint(got) != fmt.Sprint(quick) {
		t.Fatalf("got %v\nwant %v", got, quick)
	}
	if n := log.bytes.Load(); n > held {
		t.Errorf("%d bytes were read for sinks that take none", n)
	}
	close(h.release)
	eventually(t, "the events of the host that hung", func() bool { return len(hangs.got()) == 40*2*20 })
	if got := hangs.byConversation(); fmt.Sprint(got) != fmt.Sprint(slow) {
		t.Fatalf("got %v\nwant %v", got, slow)
	}
}

// However many channels have a backlog, a few of a host are read ahead at once, so that no read waits for longer at the log than it may take; and
// those of another host do not wait for them.
func TestReadingAheadTakesTurns(t *testing.T) {
	rc, other := newReceiver(t, nil), newReceiver(t, nil)
	var log *slowLog
	r := newRig(t, nil)
	eventually(t, "the start", func() bool { _, err := r.d.Known(t.Context()); return err == nil })
	r.stop()
	r.wrap = func(l *eventlog.Log) dispatch.EventLog {
		log = &slowLog{Log: l, crowd: "slow", hanging: hanging{release: make(chan struct{})}}
		return log
	}
	r.start()
	slow := r.crowd("slow", rc.URL, 30, 2, 20)
	const share = 4 // of a host
	eventually(t, "some are read", func() bool { return log.now.Load() == share })
	quick := r.crowd("quick", other.URL, 30, 2, 20)
	eventually(t, "the events of the other host", func() bool { return len(other.got()) == 30*2*20 })
	if got := other.byConversation(); fmt.Sprint(got) != fmt.Sprint(quick) {
		t.Fatalf("got %v\nwant %v", got, quick)
	}
	close(log.release)
	eventually(t, "the events that hung", func() bool { return len(rc.got()) == 30*2*20 })
	if got := rc.byConversation(); fmt.Sprint(got) != fmt.Sprint(slow) {
		t.Fatalf("got %v\nwant %v", got, slow)
	}
	if top := log.top.Load(); top > share {
		t.Errorf("%d reads ahead at once", top)
	}
}

// Sinks that went down hold no events, so that one of the same host that is not gets its own.
func TestSinksThatAreDownHoldNothing(t *testing.T) {
	var mu sync.Mutex
	down, up, seen := true, 0, map[string]int{}
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if seen[r.Header.Get("Ce-Source")]++; down && r.URL.Path == "/down" && seen[r.Header.Get("Ce-Source")] > 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	r := newRig(t, func(o *dispatch.Options) { o.MaxHeldBytes = 128 << 10 })
	failing := r.crowd("down", rc.URL+"/down", 10, 40, 2)
	eventually(t, "all sinks were there, and are down", func() bool { return rc.tried() > 10*(3+16) && len(rc.got()) == 10*3 })
	for _, ids := range r.crowd("up", rc.URL+"/up", 3, 4, 10) {
		up += len(ids)
	}
	eventually(t, "the events of the others", func() bool { return len(rc.got()) == up+10*3 })
	mu.Lock()
	down = false
	mu.Unlock()
	eventually(t, "all events", func() bool { return len(rc.got()) == up+10*40*2 })
	got := rc.byConversation()
	for lane, ids := range failing {
		if !same(got[lane], ids) {
			t.Fatalf("%s: got %v, want %v", lane, got[lane], ids)
		}
	}
}
