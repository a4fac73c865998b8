package dispatch_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// server is an API server that answers what it is told, and counts what it is asked.
type server struct {
	client.Reader
	asked atomic.Int64

	mu  sync.Mutex
	err error
	// hangs, if not nil, is closed when it answers.
	hangs chan struct{}
}

func (s *server) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	s.asked.Add(1)
	s.mu.Lock()
	err, hangs := s.err, s.hangs
	s.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	if err != nil {
		return err
	}
	return s.Reader.Get(ctx, key, obj, opts...)
}

// hang makes it answer nothing until the end, and an error then.
func (s *server) hang() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hangs = errAway, make(chan struct{})
	return sync.OnceFunc(func() { close(s.hangs) })
}

func (s *server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

var (
	errAway      = errors.New("connection refused")
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "keys", errors.New("no"))
)

const (
	signingSecret  = "0123456789abcdef0123456789abcdef"
	renewedSecret  = "fedcba9876543210fedcba9876543210"
	unreadWarning  = "what a sink needs cannot be read"
	deadLetters    = "tiktok_operator_dead_letters_total"
	failingSeconds = "tiktok_operator_sink_failing_seconds"
)

func keys() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}, Data: map[string][]byte{
		"key": []byte(signingSecret), "token": []byte("first"),
	}}
}

func signed(s v1alpha1.Sink) v1alpha1.Sink {
	s.SigningSecretRef = &v1alpha1.SecretKeyReference{Name: "keys", Key: "key"}
	return s
}

func authorized(s v1alpha1.Sink) v1alpha1.Sink {
	s.BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: "keys", Key: "token"}
	return s
}

// cut is a rig whose API server and clock the test moves.
func cut(t *testing.T, objects ...client.Object) (*rig, *server, stepped) {
	t.Helper()
	api, clock := &server{}, stepped{clocktesting.NewFakeClock(time.Now())}
	r := newRig(t, func(o *dispatch.Options) { api.Reader, o.Reader, o.Clock = o.Reader, api, clock }, objects...)
	return r, api, clock
}

// A healthy sink gets its events while the API server is away, however it is found and whatever it is sent.
func TestDeliveriesGoOnWithoutTheAPIServer(t *testing.T) {
	for name, of := range map[string]func(*receiver) v1alpha1.Sink{
		"signed":     func(rc *receiver) v1alpha1.Sink { return signed(sinkOf("s", rc.URL)) },
		"authorized": func(rc *receiver) v1alpha1.Sink { return authorized(sinkOf("s", rc.URL)) },
		"a Service":  func(*receiver) v1alpha1.Sink { return serviceSink() },
	} {
		t.Run(name, func(t *testing.T) {
			rc := newReceiver(t, nil)
			r, api, clock := cut(t, keys(), serviceAt(t, rc))
			s := of(rc)
			s.Delivery.MaxAttempts = ptr.To[int32](2)
			r.apply(channelWith(s))
			want := r.put(uid, "before", 3)
			eventually(t, "the events before", func() bool { clock.Step(time.Millisecond); return inOrder(rc.got(), want) })
			api.fail(errAway)
			for i := range 3 {
				clock.Step(time.Hour)
				asked := api.asked.Load()
				want = append(want, r.put(uid, "while-"+strconv.Itoa(i), 60)...)
				eventually(t, "the events meanwhile", func() bool { return inOrder(rc.got(), want) })
				if n := api.asked.Load() - asked; n != 1 {
					t.Errorf("it was asked %d times at once", n)
				}
			}
			var seen sync.Map
			rc.set(func(_ int, w http.ResponseWriter, r *http.Request) { // one that fails is looked for anew
				if _, again := seen.LoadOrStore(r.Header.Get("Ce-Id"), true); !again {
					w.WriteHeader(503)
				}
			})
			want = append(want, r.put(uid, "troubled", 6)...)
			eventually(t, "the events of a sink in trouble", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
			if n := len(r.letters("s")); n > 0 || r.metric("tiktok_operator_deliveries_total", "outcome", "unresolved") > 0 {
				t.Errorf("%d dead letters: %s", n, r.logged)
			}
			if n := strings.Count(r.logged.String(), unreadWarning); n != 1 {
				t.Errorf("it was logged %d times", n)
			}
			for _, request := range rc.requests {
				if request.Header.Get("Webhook-Signature") == "" && name == "signed" || request.Header.Get("Authorization") == "" && name == "authorized" {
					t.Errorf("%s came without its credentials", request.Header.Get("Ce-Id"))
				}
			}
		})
	}
}

// One conversation asks an API server that hangs, and the others do not wait for what it hears.
func TestAnAPIServerThatHangsHoldsUpNobodyElse(t *testing.T) {
	rc := newReceiver(t, nil)
	r, api, clock := cut(t, keys())
	r.apply(channelWith(signed(sinkOf("s", rc.URL))))
	want := r.put(uid, "before", 3)
	eventually(t, "the events before", func() bool { clock.Step(time.Millisecond); return inOrder(rc.got(), want) })
	end := api.hang()
	defer end()
	clock.Step(time.Minute)
	want = append(want, r.put(uid, "while", 9)...)
	eventually(t, "the other conversations", func() bool { return len(rc.got()) == 9 })
	end()
	eventually(t, "all events", func() bool { return inOrder(rc.got(), want) })
}

// Events of which nobody can tell where they are to go are no failures of the sink: they are neither counted as attempts nor grow too old.
func TestEventsWaitForTheAPIServer(t *testing.T) {
	for name, no := range map[string]error{"away": errAway, "forbidden": errForbidden} {
		t.Run(name, func(t *testing.T) {
			rc := newReceiver(t, nil)
			r, api, clock := cut(t, keys())
			api.fail(no)
			s := authorized(sinkOf("s", rc.URL))
			s.Delivery.MaxAttempts = ptr.To[int32](2)
			s.Delivery.MaxAge = &metav1.Duration{Duration: time.Minute}
			r.apply(channelWith(s))
			want := r.put(uid, "evt", 60)
			eventually(t, "it is asked again and again", func() bool {
				clock.Step(time.Second)
				return api.asked.Load() > 20
			})
			if n := api.asked.Load(); n > 100 {
				t.Errorf("it was asked %d times", n)
			}
			if clock.Now().Before(time.Now().Add(2 * time.Minute)) {
				t.Errorf("it was asked %d times by %s", api.asked.Load(), clock.Now())
			}
			if n, asked := r.metric("tiktok_operator_deliveries_total", "outcome", "unread"), api.asked.Load(); n > float64(asked+3) {
				t.Errorf("%v events were taken up to ask %d times", n, asked)
			}
			r.restart() // a restart changes nothing
			r.apply(channelWith(s))
			asked := api.asked.Load()
			eventually(t, "it is asked by the next process", func() bool { clock.Step(time.Second); return api.asked.Load() > asked+5 })
			if n := len(r.letters("s")); n > 0 || r.metric(failingSeconds, "sink", "s") > 0 || rc.tried() > 0 {
				t.Errorf("%d dead letters, failing for %v, %d requests", n, r.metric(failingSeconds, "sink", "s"), rc.tried())
			}
			if r.metric("tiktok_operator_sink_last_outcome", "outcome", "unread") != 1 {
				t.Error("nothing tells why nothing is delivered")
			}
			api.fail(nil)
			eventually(t, "all events", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
			if n := len(r.letters("s")); n > 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// What a sink failed at before is no reason to give up events while nobody can ask it.
func TestASinkThatCannotBeAskedIsNotGivenUp(t *testing.T) {
	rc := newReceiver(t, always(503))
	r, api, clock := cut(t, keys())
	s := authorized(sinkOf("s", rc.URL))
	s.Delivery.MaxAge = &metav1.Duration{Duration: time.Hour}
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Second, 2*time.Second
	ch := channelWith(s)
	r.apply(ch)
	want := r.put(uid, "evt", 30)
	eventually(t, "the sink is down", func() bool { clock.Step(time.Second); return rc.tried() > 3 })
	r.stop()
	api.fail(errAway)
	rc.set(nil)
	clock.Step(2 * time.Hour)
	r.start()
	r.apply(ch)
	asked := api.asked.Load()
	eventually(t, "it is asked", func() bool { clock.Step(time.Second); return api.asked.Load() > asked+5 })
	if n := len(r.letters("s")); n > 0 {
		t.Fatalf("%d dead letters", n)
	}
	api.fail(nil)
	eventually(t, "all events", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
}

// What the API server says counts, also if that is no.
func TestAWithdrawnSecretIsNotTakenForAnOutage(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "keys")
	for name, no := range map[string]error{"deleted": gone, "forbidden": errForbidden} {
		t.Run(name, func(t *testing.T) {
			rc := newReceiver(t, nil)
			r, api, clock := cut(t, keys())
			r.apply(channelWith(authorized(sinkOf("s", rc.URL))))
			want := r.put(uid, "before", 3)
			eventually(t, "the events before", func() bool { clock.Step(time.Millisecond); return inOrder(rc.got(), want) })
			api.fail(no)
			clock.Step(time.Minute)
			asked := api.asked.Load()
			// One event at first: while it is asked for, another one may still go with what is known.
			more := r.put(uid, "while", 1)
			eventually(t, "it is asked", func() bool { clock.Step(time.Second); return api.asked.Load() > asked+3 })
			more = append(more, r.put(uid, "then", 3)...)
			api.fail(errAway) // that it is away then brings nothing back
			asked = api.asked.Load()
			eventually(t, "it is asked again", func() bool { clock.Step(time.Second); return api.asked.Load() > asked+3 })
			if rc.tried() != 3 {
				t.Fatalf("%d requests with a token that was withdrawn", rc.tried()-3)
			}
			api.fail(nil)
			eventually(t, "the events meanwhile", func() bool { clock.Step(time.Second); return inOrder(rc.got(), append(want, more...)) })
		})
	}
}

// locked is a receiver that refuses what does not have its credentials.
type locked struct {
	*receiver
	wants atomic.Value
}

func newLocked(t *testing.T, code int, header, wants string) *locked {
	t.Helper()
	l := &locked{}
	l.wants.Store(wants)
	l.receiver = newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get(header); got == "" || !strings.HasPrefix(got, l.wants.Load().(string)) {
			w.WriteHeader(code)
		}
	})
	return l
}

// change changes a key of the sink's Secret.
func (r *rig) change(name string, value []byte) {
	r.t.Helper()
	secret := keys()
	if err := r.client.Get(r.t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		r.t.Fatal(err)
	}
	secret.Data[name] = value
	if err := r.client.Update(r.t.Context(), secret); err != nil {
		r.t.Fatal(err)
	}
}

// A receiver that takes the new token only, from the moment on at which the Secret has it, loses no event to the old one, whatever it answers to it.
func TestChangedSecretTakesEffectWithoutARestart(t *testing.T) {
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable} {
		rc := newLocked(t, code, "Authorization", "Bearer first")
		r := newRig(t, nil, keys())
		s := authorized(sinkOf("s", rc.URL))
		r.apply(channelWith(s))
		want := r.put(uid, "before", 3)
		eventually(t, "the events before", func() bool { return inOrder(rc.got(), want) })
		for _, token := range []string{"second", "third"} { // the second change comes soon after the first
			r.change("token", []byte(token))
			rc.wants.Store("Bearer " + token)
			want = append(want, r.put(uid, token, 9)...)
			eventually(t, "the events after", func() bool {
				if n := len(r.letters("s")); n > 0 {
					t.Fatalf("%d: %d dead letters", code, n)
				}
				return inOrder(rc.got(), want)
			})
		}
		r.stop()
	}
}

func TestChangedSigningSecretTakesEffectWithoutARestart(t *testing.T) {
	var wants atomic.Value
	wants.Store(signingSecret)
	rc := newVerifier(t, &wants)
	r := newRig(t, nil, keys())
	r.apply(channelWith(signed(sinkOf("s", rc.URL))))
	want := r.put(uid, "before", 3)
	eventually(t, "the events before", func() bool { return inOrder(rc.got(), want) })
	r.change("key", []byte(renewedSecret))
	wants.Store(renewedSecret)
	want = append(want, r.put(uid, "after", 9)...)
	eventually(t, "the events after", func() bool { return inOrder(rc.got(), want) })
	if n := len(r.letters("s")); n > 0 {
		t.Errorf("%d dead letters", n)
	}
}

// newVerifier is a receiver that answers 401 to what is not signed with the secret that it is told.
func newVerifier(t *testing.T, secret *atomic.Value) *receiver {
	t.Helper()
	var rc *receiver
	rc = newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		rc.mu.Lock()
		body := rc.bodies[slices.Index(rc.requests, r)]
		rc.mu.Unlock()
		key, err := sink.ParseSigningKey([]byte(secret.Load().(string)))
		seconds, bad := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
		if errors.Join(err, bad) != nil || key.Sign(r.Header.Get("Webhook-Id"), time.Unix(seconds, 0), body) != r.Header.Get("Webhook-Signature") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	return rc
}

// A sink that refuses everything does not make the API server busy.
func TestASinkThatRefusesItsCredentialsAsksSeldom(t *testing.T) {
	rc := newReceiver(t, always(http.StatusUnauthorized))
	r, api, clock := cut(t, keys())
	r.apply(channelWith(authorized(sinkOf("s", rc.URL))))
	began := clock.Now()
	r.put(uid, "evt", 30)
	eventually(t, "all are dead letters", func() bool { clock.Step(100 * time.Millisecond); return len(r.letters("s")) == 30 })
	passed := clock.Since(began)
	if asked := api.asked.Load(); asked > int64(passed/time.Second)+2 || asked < 2 {
		t.Errorf("it was asked %d times within %s", asked, passed)
	}
	if rc.tried() != 30 {
		t.Errorf("%d requests for 30 events", rc.tried())
	}
	for _, l := range r.letters("s") {
		if l.Reason != string(dispatch.DeadRejected) || l.Problem != "it answered 401" {
			t.Fatalf("letter %+v", l)
		}
	}
}

// While nobody can tell whether a Secret has changed, a refusal of what it held is not final.
func TestARefusalWaitsForTheAPIServer(t *testing.T) {
	rc := newLocked(t, http.StatusUnauthorized, "Authorization", "Bearer first")
	r, api, clock := cut(t, keys())
	s := authorized(sinkOf("s", rc.URL))
	s.Delivery.MaxAttempts = ptr.To[int32](1)
	s.Delivery.MaxAge = &metav1.Duration{Duration: time.Minute}
	r.apply(channelWith(s))
	want := r.put(uid, "before", 3)
	eventually(t, "the events before", func() bool { clock.Step(time.Millisecond); return inOrder(rc.got(), want) })
	r.change("token", []byte("second"))
	rc.wants.Store("Bearer second")
	api.fail(errAway)
	want = append(want, r.put(uid, "after", 9)...)
	began := clock.Now()
	eventually(t, "refusals", func() bool { clock.Step(time.Second); return rc.tried() >= 9 && clock.Since(began) > 2*time.Minute })
	if n := len(r.letters("s")); n > 0 || r.metric(failingSeconds, "sink", "s") > 0 {
		t.Fatalf("%d dead letters, failing for %v", n, r.metric(failingSeconds, "sink", "s"))
	}
	api.fail(nil)
	eventually(t, "the events after", func() bool { clock.Step(time.Second); return inOrder(rc.got(), want) })
	if r.metric(deadLetters, "sink", "s") > 0 {
		t.Error("there are dead letters")
	}
}

// A Secret that is made anew is not there for a moment.
func TestARefusalWaitsForASecretThatIsGone(t *testing.T) {
	rc := newLocked(t, http.StatusUnauthorized, "Authorization", "Bearer first")
	r := newRig(t, nil, keys())
	r.apply(channelWith(authorized(sinkOf("s", rc.URL))))
	want := r.put(uid, "before", 3)
	eventually(t, "the events before", func() bool { return inOrder(rc.got(), want) })
	secret := keys()
	if err := r.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	rc.wants.Store("Bearer second")
	want = append(want, r.put(uid, "after", 3)...)
	eventually(t, "the Secret is missed", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "unresolved") > 1 })
	secret = keys()
	secret.Data["token"] = []byte("second")
	if err := r.client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the events after", func() bool { return inOrder(rc.got(), want) })
}
