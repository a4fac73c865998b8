package dispatch_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// For how long a sink has been failing is known across a restart and a change of the sink: its old events become dead letters, and not one for
// each of its rare attempts.
func TestOldEventsOfASinkThatFailsExpire(t *testing.T) {
	const maxAge = 10 * time.Minute
	for name, then := range map[string]func(*rig, *v1alpha1.TiktokChannel){
		"after a restart": func(r *rig, ch *v1alpha1.TiktokChannel) {
			r.restart()
			r.apply(ch)
		},
		"after a change of the sink": func(r *rig, ch *v1alpha1.TiktokChannel) {
			changed := ch.DeepCopy()
			changed.Spec.Sinks[0].Delivery.Timeout.Duration++
			r.apply(changed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rc, clock := newReceiver(t, always(503)), &ahead{}
			r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
			s := sinkOf("s", rc.URL)
			s.Delivery.MaxAge = &metav1.Duration{Duration: maxAge}
			s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Hour, time.Hour
			ch := channelWith(s)
			r.apply(ch)
			r.put(uid, "evt", 60)
			eventually(t, "the sink is down", func() bool { return rc.tried() == 3 })
			clock.lead.Add(int64(2 * maxAge)) // now its events are old
			if n := len(r.letters("s")); n != 0 {
				t.Fatalf("%d letters already", n)
			}
			then(r, ch)
			eventually(t, "all letters", func() bool { return len(r.letters("s")) == 60 })
			for _, l := range r.letters("s") {
				if l.Reason != string(dispatch.DeadAge) || !strings.Contains(l.Problem, "503") {
					t.Fatalf("letter %+v", l)
				}
			}
			if tried := rc.tried(); tried > 6 {
				t.Errorf("%d attempts at a dead sink", tried)
			}
			eventually(t, "no backlog is left", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
		})
	}
}

// What a sink does not want, or is replayed for another sink, is no dead letter of it, however old it is: that would be replayed to it.
func TestOnlyWhatIsForASinkExpiresAtIt(t *testing.T) {
	const maxAge = 10 * time.Minute
	rc, clock := newReceiver(t, always(503)), &ahead{}
	r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
	s := sinkOf("s", rc.URL)
	s.Types = []string{cloudevent.TypeMessageReceived}
	s.Delivery.MaxAge = &metav1.Duration{Duration: maxAge}
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Hour, time.Hour
	r.apply(channelWith(s))
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprint("wanted-", i))
		for _, e := range []eventlog.Record{
			{ID: fmt.Sprint("read-", i), Event: "im_mark_read_msg"}, {ID: want[i], Event: "im_receive_msg"},
			{ID: want[i], Event: "im_receive_msg", Sink: "another", Replay: "once more"},
		} {
			e.App, e.BusinessID, e.ChannelUID, e.Conversation = "app", "biz", uid, fmt.Sprint("c", i%3)
			e.Body = body(e.Event, e.ID, e.Conversation)
			if _, err := r.log.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the sink is down", func() bool { return rc.tried() == 3 })
	clock.lead.Add(int64(2 * maxAge)) // now its events are old
	changed := s.DeepCopy()
	changed.Delivery.Timeout.Duration++
	r.apply(channelWith(*changed))
	eventually(t, "no backlog is left", func() bool {
		return len(r.letters("s")) >= len(want) && r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0
	})
	var got []string
	for _, l := range r.letters("s") {
		got = append(got, l.Record.ID)
	}
	if !inOrder(got, want) {
		t.Errorf("letters of %v", got)
	}
}

// stepped is a clock that is stepped, whose timers may ask it for the time.
type stepped struct{ *clocktesting.FakeClock }

func (s stepped) AfterFunc(d time.Duration, f func()) clock.Timer {
	return s.FakeClock.AfterFunc(d, func() { go f() })
}

// What the event log no longer keeps although a sink has not taken it is counted and logged.
func TestEventsThatEndBeforeTheirDeliveryAreCounted(t *testing.T) {
	const expired = "tiktok_operator_sink_expired_events_total"
	for name, c := range map[string]struct {
		suspended bool
		answer    int
	}{"of a suspended channel": {suspended: true}, "of a sink that is down": {answer: 503}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := stepped{clocktesting.NewFakeClock(time.Now())}
			rc := newReceiver(t, always(max(c.answer, 200)))
			r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
			eventually(t, "the start", func() bool { _, err := r.d.Known(t.Context()); return err == nil })
			r.stop()
			r.logOptions.MaxAge, r.logOptions.DedupWindow = 10*time.Second, time.Second
			r.start()
			s := sinkOf("s", rc.URL)
			s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Hour, time.Hour
			ch := channelWith(s)
			ch.Spec.Suspend = c.suspended
			r.apply(ch)
			r.put(uid, "evt", 60)
			if c.suspended { // as of events that were there before this process
				r.restart()
				r.apply(ch)
			} else {
				eventually(t, "the sink is down", func() bool { return rc.tried() >= 3 })
			}
			eventually(t, "all are counted", func() bool {
				clock.Step(time.Minute)
				time.Sleep(50 * time.Millisecond) // the server's clock decides when they end
				return r.metric(expired, "sink", "s") == 60
			})
			eventually(t, "no backlog is left", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
			if n := strings.Count(r.logged.String(), "reached the end of their retention in the event log"); n != 1 {
				t.Errorf("it was logged %d times", n)
			}
			rc.set(always(200))
			ch = ch.DeepCopy()
			ch.Spec.Suspend = false
			ch.Spec.Sinks[0].Delivery.Timeout.Duration++
			r.apply(ch)
			want := r.put(uid, "new", 3)
			eventually(t, "what is new", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
			if got := r.metric(expired, "sink", "s"); got != 60 {
				t.Errorf("%v events count as expired", got)
			}
		})
	}
}

// An event that was delivered is none that was lost, whatever became of the positions.
func TestDeliveredEventsDoNotCountAsExpired(t *testing.T) {
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt%4 == 0 {
			w.WriteHeader(503)
		}
	})
	r := newRig(t, nil)
	ch := channelWith(sinkOf("s", rc.URL))
	r.apply(ch)
	for range 5 {
		if _, err := r.log.Append(t.Context(), eventlog.Record{
			ID: "one", App: "app", ChannelUID: uid, Conversation: "c0", Sink: "another", Replay: time.Now().String(), Body: body("im_receive_msg", "one", "c0"),
		}); err != nil {
			t.Fatal(err)
		}
		r.put(uid, time.Now().String(), 30)
		r.restart()
		r.apply(ch)
	}
	eventually(t, "all events", func() bool { return stored(t, rc.got()) == 150 })
	eventually(t, "no backlog is left", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
	if strings.Contains(r.logged.String(), "retention") {
		t.Errorf("events count as lost: %s", r.logged)
	}
}

// slowLetters is a log whose dead letters wait for a word.
type slowLetters struct {
	dispatch.EventLog
	begun, goOn chan struct{}
}

func (s slowLetters) AddDeadLetter(ctx context.Context, d eventlog.DeadLetter) error {
	s.begun <- struct{}{}
	<-s.goOn
	return s.EventLog.AddDeadLetter(ctx, d)
}

// tell stores one event.
func (r *rig) tell(id, conversation string) {
	r.t.Helper()
	if _, err := r.log.Append(r.t.Context(), eventlog.Record{
		ID: id, App: "app", ChannelUID: uid, Conversation: conversation, Event: "im_receive_msg", Body: body("im_receive_msg", id, conversation),
	}); err != nil {
		r.t.Fatal(err)
	}
}

// down is a rig that is stopped, with one event in each of n conversations of a sink that is down.
func down(t *testing.T, rc *receiver, n int, maxAge time.Duration) (*rig, *v1alpha1.TiktokChannel, *ahead) {
	t.Helper()
	clock := &ahead{}
	r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
	s := sinkOf("s", rc.URL)
	s.Delivery.MaxAge = &metav1.Duration{Duration: maxAge}
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = 100*time.Millisecond, 100*time.Millisecond
	ch := channelWith(s)
	r.apply(ch)
	for i := range n {
		r.tell(fmt.Sprint("old-", i), fmt.Sprint("c", i))
	}
	eventually(t, "the sink is down", func() bool { return rc.tried() >= 3 })
	r.stop()
	return r, ch, clock
}

// Conversations whose old events expired go on with their next ones.
func TestWhatFollowsExpiredEventsIsNotLost(t *testing.T) {
	const n, maxAge = 16, 2 * time.Second // in which two more attempts are made
	rc := newReceiver(t, always(503))
	r, ch, _ := down(t, rc, n, maxAge)
	began := time.Now()
	eventually(t, "its events are old", func() bool { return time.Since(began) > maxAge })
	r.start()
	r.apply(ch)
	eventually(t, "all letters", func() bool { return len(r.letters("s")) == n })
	tried := rc.tried()
	for i := range n {
		r.tell(fmt.Sprint("new-", i), fmt.Sprint("c", i))
	}
	eventually(t, "two more attempts", func() bool { return rc.tried() >= tried+2 })
	rc.set(always(200))
	eventually(t, "all new events, or letters of those that have become too old", func() bool {
		kept := map[string]bool{}
		for _, id := range rc.got() {
			kept[id] = true
		}
		for _, l := range r.letters("s") {
			kept[l.Record.ID] = true
		}
		return len(kept) == 2*n
	})
	eventually(t, "no backlog is left", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
}

// An event that is being given up is not delivered meanwhile, though the sink is changed and has come back.
func TestExpiringEventsAreNotDelivered(t *testing.T) {
	const n = 4
	rc := newReceiver(t, always(503))
	const maxAge = 10 * time.Minute
	r, ch, clock := down(t, rc, n, maxAge)
	clock.lead.Add(int64(2 * maxAge)) // now its events are old
	begun, goOn := make(chan struct{}, n), make(chan struct{})
	r.wrap = func(l *eventlog.Log) dispatch.EventLog { return slowLetters{l, begun, goOn} }
	r.start()
	r.apply(ch)
	<-begun // the event that was tried
	goOn <- struct{}{}
	<-begun // one that was not
	rc.set(always(200))
	tried := rc.tried()
	changed := ch.DeepCopy()
	changed.Spec.Sinks[0].Delivery.MaxAge.Duration = time.Hour
	r.apply(changed)
	eventually(t, "the others", func() bool { return len(rc.got()) >= n-2 })
	close(goOn)
	eventually(t, "two letters", func() bool { return len(r.letters("s")) == 2 })
	for i := range n {
		r.tell(fmt.Sprint("new-", i), fmt.Sprint("c", i))
	}
	eventually(t, "what follows", func() bool { return len(rc.got()) >= n-2+n })
	got := rc.got()
	for _, l := range r.letters("s") {
		if slices.Contains(got, l.Record.ID) {
			t.Errorf("%s was delivered and given up", l.Record.ID)
		}
	}
	if len(got) != n-2+n || rc.tried() != tried+len(got) {
		t.Errorf("%d attempts delivered %q", rc.tried()-tried, got)
	}
}
