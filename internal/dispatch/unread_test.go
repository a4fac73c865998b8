package dispatch_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
)

// told is what a Reporter tells of a channel, and how often it writes.
type told struct {
	t   *testing.T
	r   *rig
	ch  *v1alpha1.TiktokChannel
	api *counted
}

func newTold(t *testing.T, r *rig, ch *v1alpha1.TiktokChannel) *told {
	t.Helper()
	scheme := k8sruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch.DeepCopy()).WithStatusSubresource(ch).Build()
	return &told{t, r, ch, &counted{Client: api}}
}

// sink is what the channel's status says of its sink after a report by the process that there is now, which has not just written.
func (s *told) sink() (state v1alpha1.SinkState, message string) {
	s.t.Helper()
	(&dispatch.Reporter{Reader: s.api, Client: s.api, Dispatcher: s.r.d}).Report(s.t.Context())
	var now v1alpha1.TiktokChannel
	if err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(s.ch), &now); err != nil {
		s.t.Fatal(err)
	}
	if len(now.Status.Sinks) == 0 {
		return "", ""
	}
	return now.Status.Sinks[0].State, now.Status.Sinks[0].Message
}

// That the operator may not read what a sink needs shows in the channel's status once it lasts, with what is wrong, and no more often than it turns.
func TestWhatMayNotBeReadIsReported(t *testing.T) {
	rc := newReceiver(t, nil)
	r, api, clock := cut(t, keys())
	ch := channelWith(authorized(sinkOf("s", rc.URL)))
	status := newTold(t, r, ch)
	passes := func(d time.Duration) { // once it was asked: that may come late
		t.Helper()
		var end time.Time
		asked := api.asked.Load()
		eventually(t, "it is asked, time passes, and it is asked again", func() bool {
			clock.Step(time.Second)
			if n := api.asked.Load(); end.IsZero() && n > asked+1 {
				asked, end = n, clock.Now().Add(d)
			}
			return !end.IsZero() && !clock.Now().Before(end) && api.asked.Load() > asked+1
		})
	}
	r.apply(ch)
	want := r.put(uid, "before", 3)
	eventually(t, "the events before", func() bool { clock.Step(time.Millisecond); return inOrder(rc.got(), want) })
	api.fail(errForbidden)
	clock.Step(time.Minute) // what was read is to be read again
	want = append(want, r.put(uid, "while", 3)...)
	began := clock.Now()
	asked := api.asked.Load()
	// In small steps: the minute is not to be over before it has asked.
	eventually(t, "refusals", func() bool { clock.Step(20 * time.Millisecond); return api.asked.Load() > asked+2 })
	if state, message := status.sink(); state != "" || clock.Since(began) > time.Minute {
		t.Fatalf("after %s: %s, %s", clock.Since(began), state, message)
	}
	const forbidden = `No attempt is possible: the operator may not read the Secret ns/keys: secrets "keys" is forbidden: no.`
	passes(time.Minute)
	if state, message := status.sink(); state != v1alpha1.SinkFailing || message != forbidden {
		t.Fatalf("%s, %q\n%s", state, message, r.logged)
	}
	for i := range 3 {
		want = append(want, r.put(uid, "more-"+strconv.Itoa(i), 3)...)
		passes(2 * time.Minute)
		if state, _ := status.sink(); state != v1alpha1.SinkFailing || status.api.applies.Load() != 1 {
			t.Fatalf("%s after %d writes", state, status.api.applies.Load())
		}
	}
	r.restart() // which makes no sink healthy
	r.apply(ch)
	for _, no := range []error{errAway, errForbidden} { // nor does an API server that is away
		api.fail(no)
		passes(2 * time.Minute)
		if state, message := status.sink(); state != v1alpha1.SinkFailing || message != forbidden || status.api.applies.Load() != 1 {
			t.Fatalf("%s, %q after %d writes", state, message, status.api.applies.Load())
		}
	}

	// Mended, but now the sink itself fails: nobody is to look for what is mended.
	rc.set(always(503))
	api.fail(nil)
	tried := rc.tried()
	eventually(t, "a failure", func() bool { clock.Step(time.Second); return rc.tried() > tried+1 })
	began = clock.Now()
	eventually(t, "failures", func() bool {
		clock.Step(time.Second)
		return rc.tried() > tried+3 && clock.Since(began) > 2*time.Minute
	})
	for range 3 {
		if state, message := status.sink(); state != v1alpha1.SinkFailing || !strings.Contains(message, "503") || status.api.applies.Load() != 2 {
			t.Fatalf("%s, %q after %d writes", state, message, status.api.applies.Load())
		}
	}
	api.fail(errForbidden)
	passes(2 * time.Minute)
	if state, message := status.sink(); state != v1alpha1.SinkFailing || message != forbidden {
		t.Fatalf("forbidden again: %s, %q", state, message)
	}
	rc.set(nil)
	api.fail(nil)
	eventually(t, "all events", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
	if state, message := status.sink(); state != v1alpha1.SinkHealthy || status.api.applies.Load() != 4 {
		t.Errorf("%s, %q after %d writes", state, message, status.api.applies.Load())
	}
}

// An API server that could not be asked leaves nothing in the status, however long it was away, and whatever it said in passing before.
func TestAnAPIServerThatWasAwayIsNoFailure(t *testing.T) {
	rc := newReceiver(t, nil)
	r, api, clock := cut(t, keys())
	ch := channelWith(authorized(sinkOf("s", rc.URL)))
	status := newTold(t, r, ch)
	asks := func(of error, lasts, step time.Duration) {
		t.Helper()
		api.fail(of)
		end, asked := clock.Now().Add(lasts), api.asked.Load()
		eventually(t, "it is asked", func() bool {
			clock.Step(step)
			return !clock.Now().Before(end) && api.asked.Load() > asked+1
		})
		if state, message := status.sink(); state != "" {
			t.Fatalf("%s, %s", state, message)
		}
	}
	api.fail(errForbidden)
	r.apply(ch)
	want := r.put(uid, "evt", 3)
	const small = 50 * time.Millisecond // so that what it says in passing does not last a minute before it is asked again
	asks(errForbidden, time.Second, small)
	asks(errAway, 20*time.Minute, 2*time.Second)
	asks(errForbidden, time.Second, small)
	api.fail(nil)
	eventually(t, "all events", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
	clock.Step(time.Hour)
	if state, message := status.sink(); state != "" || status.api.applies.Load() != 0 {
		t.Errorf("%s, %s after %d writes", state, message, status.api.applies.Load())
	}
}
