package dispatch_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

func (r *rig) letters(sink string) []eventlog.DeadLetter {
	r.t.Helper()
	letters, _, err := r.log.DeadLetters(r.t.Context(), eventlog.DeadLetterQuery{ChannelUID: uid, Sink: sink, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	return letters
}

func TestRefusedEventsBecomeDeadLettersAtOnce(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 409, 410, 413, 422} {
		rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Ce-Id") == "evt-3" {
				w.WriteHeader(code)
			}
		})
		r := newRig(t, nil)
		r.apply(channelWith(sinkOf("s", rc.URL)))
		want := r.put(uid, "evt", 9)
		eventually(t, "the other events", func() bool { return len(rc.got()) == 8 })
		if rc.tried() != 9 || !inOrder(rc.got(), append(append([]string{}, want[:3]...), want[4:]...)) {
			t.Fatalf("%d: %d attempts, got %v", code, rc.tried(), rc.got())
		}
		letters := r.letters("s")
		if len(letters) != 1 || letters[0].Record.ID != "evt-3" || letters[0].Reason != string(dispatch.DeadRejected) || letters[0].Attempts != 1 ||
			!strings.Contains(letters[0].Problem, strconv.Itoa(code)) {
			t.Fatalf("%d: letters are %+v", code, letters)
		}
		if n := r.metric("tiktok_operator_dead_letters_total", "reason", "rejected"); n != 1 {
			t.Errorf("%d: %v dead letters were counted", code, n)
		}
		r.stop()
	}
}

func TestMaxAttemptsCountsOverRestarts(t *testing.T) {
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Ce-Id") == "evt-0" {
			w.WriteHeader(500)
		}
	})
	clock := stepped{clocktesting.NewFakeClock(time.Now())}
	r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
	s := sinkOf("s", rc.URL)
	s.Delivery.MaxAttempts = ptr.To[int32](6)
	r.apply(channelWith(s))
	r.put(uid, "evt", 4)
	tries := func() (n int) {
		rc.mu.Lock()
		defer rc.mu.Unlock()
		for _, request := range rc.requests {
			if request.Header.Get("Ce-Id") == "evt-0" {
				n++
			}
		}
		return n
	}
	eventually(t, "three attempts", func() bool {
		done := tries() >= 3
		if !done {
			clock.Step(time.Millisecond)
		}
		return done
	})
	if n := len(r.letters("s")); n != 0 {
		t.Fatalf("%d letters already", n)
	}
	r.restart()
	r.apply(channelWith(s))
	eventually(t, "the letter", func() bool { clock.Step(time.Millisecond); return len(r.letters("s")) == 1 })
	if letter := r.letters("s")[0]; tries() != 6 || letter.Attempts != 6 || letter.Reason != string(dispatch.DeadAttempts) {
		t.Fatalf("%d attempts, letter %+v", tries(), letter)
	}
	eventually(t, "what came after it", func() bool { clock.Step(time.Millisecond); return len(rc.got()) == 3 })
}

// A sink that was down for longer than events may be old gives them up without an attempt for each.
func TestOldEventsOfADeadSinkBecomeDeadLetters(t *testing.T) {
	var up atomic.Bool
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(503)
		}
	})
	r := newRig(t, nil)
	s := sinkOf("s", rc.URL)
	s.Delivery.MaxAge = &metav1.Duration{Duration: 1500 * time.Millisecond}
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Second, time.Second
	r.apply(channelWith(s))
	const events = 60
	r.put(uid, "evt", events)
	eventually(t, "all letters", func() bool { return len(r.letters("s")) == events })
	for _, l := range r.letters("s") {
		if l.Reason != string(dispatch.DeadAge) || !strings.Contains(l.Problem, "503") {
			t.Fatalf("letter %+v", l)
		}
	}
	if rc.tried() >= events { // one a second, for as long as the machine takes
		t.Errorf("%d attempts at a dead sink", rc.tried())
	}
	eventually(t, "no backlog is left", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 0 })
	up.Store(true)
	want := r.put(uid, "new", 3)
	eventually(t, "what is new", func() bool { return inOrder(rc.got(), want) })
}

func TestReplayedLetterGoesToItsSinkAloneAndIsMarked(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	a := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(410)
		}
	})
	b := newReceiver(t, nil)
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("a", a.URL), sinkOf("b", b.URL)))
	want := r.put(uid, "evt", 3)
	eventually(t, "letters of a, deliveries to b", func() bool { return len(r.letters("a")) == 3 && inOrder(b.got(), want) })
	broken.Store(false)
	for _, letter := range r.letters("a") {
		if err := r.log.Revive(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the replays", func() bool { return inOrder(a.got(), want) })
	more := r.put(uid, "more", 1)
	eventually(t, "what comes next, at both", func() bool {
		return inOrder(a.got(), append(append([]string{}, want...), more...)) && inOrder(b.got(), append(append([]string{}, want...), more...))
	})
	if n := len(r.letters("a")); n != 0 {
		t.Errorf("%d letters are left", n)
	}
	for i, request := range a.requests {
		replay := i >= 3 && i < 6
		if got := request.Header.Get("Ce-Replay"); (got == "true") != replay {
			t.Errorf("request %d: Ce-Replay %q", i, got)
		}
	}
}
