package dispatch_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	uid      = "uid-1"
	patience = time.Minute
)

// receiver is a sink that records what it took, and answers as it is told.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(attempt int, w http.ResponseWriter, r *http.Request)
	attempts int
	taken    []string // Ce-Id of what was answered with 2xx, in order
	requests []*http.Request
	bodies   [][]byte
}

func newReceiver(t *testing.T, answer func(attempt int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{answer: answer}
	rc.Server = httptest.NewServer(rc)
	t.Cleanup(rc.Close)
	return rc
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(code int) { s.status = code; s.ResponseWriter.WriteHeader(code) }

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rc.mu.Lock()
	rc.attempts++
	attempt, answer := rc.attempts, rc.answer
	rc.requests, rc.bodies = append(rc.requests, r), append(rc.bodies, body)
	rc.mu.Unlock()
	rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	if answer != nil {
		answer(attempt, rec, r)
	}
	if rec.status < 300 {
		rc.mu.Lock()
		rc.taken = append(rc.taken, r.Header.Get("Ce-Id"))
		rc.mu.Unlock()
	}
}

func (rc *receiver) set(answer func(int, http.ResponseWriter, *http.Request)) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.answer = answer
}

func (rc *receiver) got() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]string(nil), rc.taken...)
}

func (rc *receiver) tried() int {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.attempts
}

func always(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// rig is a dispatcher on a real event log.
type rig struct {
	t          *testing.T
	logOptions eventlog.Options
	log        *eventlog.Log
	options    dispatch.Options
	d          *dispatch.Dispatcher
	stop       func()
	client     client.Client
	registry   *prometheus.Registry
	logged     *lockedBuffer
	// wrap, if not nil, comes between the log and the dispatcher.
	wrap func(*eventlog.Log) dispatch.EventLog
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.WriteString(s + "\n")
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change func(*dispatch.Options), objects ...client.Object) *rig {
	t.Helper()
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t, logOptions: eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)}, logged: &lockedBuffer{},
		client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
	}
	r.options = dispatch.Options{
		Reader: r.client, AllowPrivateSinks: true, ShutdownGrace: patience,
		Logger: funcr.New(func(_, args string) { r.logged.add(args) }, funcr.Options{Verbosity: 10}),
	}
	if change != nil {
		change(&r.options)
	}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.log, err = eventlog.Open(context.Background(), r.logOptions); err != nil {
		r.t.Fatal(err)
	}
	r.registry = prometheus.NewPedanticRegistry()
	r.options.Log, r.options.Registerer = r.log, r.registry
	if r.wrap != nil {
		r.options.Log = r.wrap(r.log)
	}
	if r.d, err = dispatch.New(r.options); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.d.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		if err := r.log.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

func (r *rig) apply(ch *v1alpha1.TiktokChannel) {
	r.t.Helper()
	if err := r.d.Apply(r.t.Context(), ch); err != nil {
		r.t.Fatal(err)
	}
}

func body(event, message, conversation string) []byte {
	content, _ := json.Marshal(map[string]any{
		"message_id": message, "conversation_id": conversation, "type": "text", "text": map[string]any{"body": "hi"}, "timestamp": 1_780_000_000_123,
	})
	b, _ := json.Marshal(map[string]any{"event": event, "user_openid": "biz", "create_time": 1_780_000_000, "content": string(content)})
	return b
}

// put stores events with ids prefix-0 … and returns the ids.
func (r *rig) put(channelUID, prefix string, n int) []string {
	r.t.Helper()
	var ids []string
	for i := range n {
		id := prefix + "-" + strconv.Itoa(i)
		conversation := "c" + strconv.Itoa(i%3)
		if _, err := r.log.Append(r.t.Context(), eventlog.Record{
			ID: id, App: "app", BusinessID: "biz", ChannelUID: channelUID, Conversation: conversation, Event: "im_receive_msg",
			ReceivedAt: time.Now(), Body: body("im_receive_msg", id, conversation),
		}); err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func sinkOf(name, uri string) v1alpha1.Sink {
	return v1alpha1.Sink{Name: name, URI: uri, Delivery: &v1alpha1.Delivery{
		Timeout: &metav1.Duration{Duration: patience}, // an attempt that is given up on a busy machine is one more than the tests count
		Backoff: &v1alpha1.Backoff{Min: &metav1.Duration{Duration: 5 * time.Millisecond}, Max: &metav1.Duration{Duration: 20 * time.Millisecond}},
	}}
}

func channelWith(sinks ...v1alpha1.Sink) *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ch", UID: uid}, Spec: v1alpha1.TiktokChannelSpec{Sinks: sinks},
	}
}

func same(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// lanes sorts the ids of put by conversation.
func lanes(ids []string) map[string][]string {
	sorted := map[string][]string{}
	for _, id := range ids {
		conversation := ""
		if at := strings.LastIndexByte(id, '-'); at >= 0 {
			if n, err := strconv.Atoi(id[at+1:]); err == nil {
				conversation = strconv.Itoa(n % 3)
			}
		}
		sorted[conversation] = append(sorted[conversation], id)
	}
	return sorted
}

// inOrder says whether the same events came, each once, and in order within each conversation.
func inOrder(got, want []string) bool { return fmt.Sprint(lanes(got)) == fmt.Sprint(lanes(want)) }

// begun says whether a part of the events came, in order within each conversation.
func begun(got, want []string) bool {
	all := lanes(want)
	for conversation, ids := range lanes(got) {
		if n := len(ids); n > len(all[conversation]) || !same(ids, all[conversation][:n]) {
			return false
		}
	}
	return true
}

func TestDeliversSignedCloudEvents(t *testing.T) {
	const key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	rc := newReceiver(t, nil)
	r := newRig(t, nil, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sink"}, Data: map[string][]byte{
		"key": []byte("whsec_" + key), "token": []byte("b34rer"),
	}})
	s := sinkOf("s", rc.URL+"/hook?k=v")
	s.SigningSecretRef = &v1alpha1.SecretKeyReference{Name: "sink", Key: "key"}
	s.BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: "sink", Key: "token"}
	r.apply(channelWith(s))
	want := r.put(uid, "evt", 3)
	eventually(t, "three events", func() bool { return inOrder(rc.got(), want) })

	first := slices.IndexFunc(rc.requests, func(r *http.Request) bool { return r.Header.Get("Ce-Id") == "evt-0" })
	request, data := rc.requests[first], rc.bodies[first]
	for name, value := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "evt-0", "Ce-Type": "io.tiktok-operator.message.received", "Ce-Subject": "c0", "Ce-Partitionkey": "c0",
		"Ce-Source": "/apis/channels.tiktok-operator.io/v1alpha1/namespaces/ns/tiktokchannels/ch", "Ce-Time": "2026-05-28T20:26:40.123Z",
		"Content-Type": "application/json", "Authorization": "Bearer b34rer", "Webhook-Id": "evt-0", "User-Agent": "tiktok-operator",
	} {
		if got := request.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if request.Method != http.MethodPost || request.URL.String() != "/hook?k=v" || !json.Valid(data) {
		t.Errorf("got %s %s with %s", request.Method, request.URL, data)
	}
	// As the specification of Standard Webhooks says, by hand.
	timestamp := request.Header.Get("webhook-timestamp")
	if at, err := strconv.ParseInt(timestamp, 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("webhook-timestamp %q", timestamp)
	}
	raw, _ := base64.StdEncoding.DecodeString(key)
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%s.%s", request.Header.Get("webhook-id"), timestamp, data)
	if got, want := request.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("webhook-signature is %q, want %q", got, want)
	}
	for _, secret := range []string{key, "b34rer", "/hook", "k=v"} {
		if strings.Contains(r.logged.String(), secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

func TestRetriesInOrderUntilTaken(t *testing.T) {
	answers := []int{500, 408, 425, 301, 429, 200, 503, 200, 100}
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, r *http.Request) {
		switch code := answers[attempt%len(answers)]; code {
		case 301:
			http.Redirect(w, r, "/elsewhere", code)
		case 429:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(code)
		case 100: // hang up
			conn, _, err := w.(*statusRecorder).ResponseWriter.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			w.(*statusRecorder).status = 500
		default:
			w.WriteHeader(code)
		}
	})
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", rc.URL)))
	want := r.put(uid, "evt", 10)
	eventually(t, "all events in order", func() bool { return inOrder(rc.got(), want) })
	for _, request := range rc.requests {
		if request.URL.Path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
	}
	for outcome, least := range map[string]float64{"delivered": 10, "failed": 3, "throttled": 1, "redirected": 1} {
		eventually(t, "outcome "+outcome+" is counted", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", outcome) >= least })
	}
}

// A sink that answers 101 keeps the connection open for another protocol: that is a failed attempt like any other, which ends.
func TestASinkThatSwitchesProtocolsHoldsUpNothing(t *testing.T) {
	tested := make(chan struct{})
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt > 1 {
			return
		}
		recorder := w.(*statusRecorder)
		recorder.status = http.StatusInternalServerError // it is not taken
		conn, _, err := http.NewResponseController(recorder.ResponseWriter).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		<-tested
	})
	r := newRig(t, nil)
	t.Cleanup(func() { close(tested) })
	r.apply(channelWith(sinkOf("s", rc.URL)))
	want := r.put(uid, "evt", 1)
	eventually(t, "the event", func() bool { return same(rc.got(), want) })
}

// A sink may close an idle connection just when it is used again. That is no failed attempt at the event, which may have one only.
func TestAClosedIdleConnectionIsNoFailure(t *testing.T) {
	type served struct{}
	rc := newReceiver(t, nil)
	closing := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(served{}).(*atomic.Int32).Add(1) == 1 {
			rc.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	}))
	closing.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, served{}, &atomic.Int32{})
	}
	closing.Start()
	t.Cleanup(closing.Close)
	r := newRig(t, nil)
	s := sinkOf("s", closing.URL)
	s.Delivery.MaxAttempts = ptr.To[int32](1)
	r.apply(channelWith(s))
	want := r.put(uid, "evt", 9)
	eventually(t, "an end of each", func() bool { return len(rc.got())+len(r.letters("s")) == len(want) })
	if !inOrder(rc.got(), want) {
		t.Errorf("got %v, and %d letters", rc.got(), len(r.letters("s")))
	}
}

func TestDeadSinkDelaysNoOther(t *testing.T) {
	release := make(chan struct{})
	dead := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.WriteHeader(503)
	})
	t.Cleanup(func() { close(release) })
	alive, elsewhere := newReceiver(t, nil), newReceiver(t, nil)
	r := newRig(t, func(o *dispatch.Options) { o.ShutdownGrace = time.Millisecond })
	slow := sinkOf("dead", dead.URL)
	slow.Delivery.Timeout.Duration = time.Minute
	r.apply(channelWith(slow, sinkOf("alive", alive.URL)))
	other := channelWith(sinkOf("s", elsewhere.URL))
	other.Name, other.UID = "other", "uid-2"
	r.apply(other)
	want, wantOther := r.put(uid, "a", 20), r.put("uid-2", "b", 20)
	eventually(t, "the other sinks have everything", func() bool { return inOrder(alive.got(), want) && inOrder(elsewhere.got(), wantOther) })
	eventually(t, "the backlog of dead shows", func() bool {
		return r.metric("tiktok_operator_sink_pending_events", "sink", "dead") == 20
	})
	eventually(t, "alive has no backlog", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "alive") == 0 })
	eventually(t, "an attempt in each conversation", func() bool { return dead.tried() >= 3 })
	if r.metric("tiktok_operator_sink_oldest_pending_seconds", "sink", "dead") <= 0 {
		t.Error("the backlog has no age")
	}
	if dead.tried() != 3 {
		t.Errorf("%d requests at once in three conversations", dead.tried())
	}
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	rc := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt > 5 {
			w.WriteHeader(500)
		}
	})
	r := newRig(t, nil)
	ch := channelWith(sinkOf("s", rc.URL))
	r.apply(ch)
	want := r.put(uid, "evt", 12)
	eventually(t, "a failure", func() bool { return rc.tried() > 7 })
	r.restart()
	r.put("uid-of-nobody", "x", 1)
	if got := rc.got(); len(got) != 5 || !begun(got, want) {
		t.Fatalf("got %v", got)
	}
	rc.set(nil)
	r.apply(ch)
	eventually(t, "the rest, each once", func() bool { return inOrder(rc.got(), want) })
	r.restart()
	r.apply(ch)
	more := r.put(uid, "more", 2)
	eventually(t, "what is new, and nothing again", func() bool { return inOrder(rc.got(), append(append([]string{}, want...), more...)) })
}

func TestSuspendAndResume(t *testing.T) {
	rc := newReceiver(t, nil)
	r := newRig(t, nil)
	ch := channelWith(sinkOf("s", rc.URL))
	r.apply(ch)
	want := r.put(uid, "before", 2)
	eventually(t, "the first events", func() bool { return inOrder(rc.got(), want) })
	ch.Spec.Suspend = true
	r.apply(ch)
	want = append(want, r.put(uid, "while", 3)...)
	eventually(t, "the backlog shows", func() bool { return r.metric("tiktok_operator_sink_pending_events", "sink", "s") == 3 })
	r.restart()
	r.apply(ch)
	want = append(want, r.put(uid, "more", 1)...)
	if got := rc.tried(); got != 2 {
		t.Fatalf("%d requests for a suspended channel", got-2)
	}
	ch.Spec.Suspend = false
	r.apply(ch)
	eventually(t, "everything", func() bool { return inOrder(rc.got(), want) })
}

func TestChangedSinkTakesEffectInTheMidstOfABackoff(t *testing.T) {
	broken, repaired := newReceiver(t, always(500)), newReceiver(t, nil)
	r := newRig(t, nil, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "tokens"}, Data: map[string][]byte{"a": []byte("old")}})
	s := sinkOf("s", broken.URL)
	s.Delivery.Backoff.Min.Duration, s.Delivery.Backoff.Max.Duration = time.Hour, time.Hour
	r.apply(channelWith(s))
	want := r.put(uid, "evt", 3)
	eventually(t, "a failure", func() bool { return broken.tried() == 3 && strings.Contains(r.logged.String(), "retryIn") })
	s.URI = repaired.URL
	r.apply(channelWith(s))
	eventually(t, "all events at the new address", func() bool { return inOrder(repaired.got(), want) })
	s.BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: "tokens", Key: "b"}
	r.apply(channelWith(s))
	want = append(want, r.put(uid, "more", 1)...)
	eventually(t, "a missing key holds deliveries up", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "unresolved") == 1 })
	s.BearerTokenSecretRef.Key = "a"
	r.apply(channelWith(s))
	eventually(t, "it goes on", func() bool { return inOrder(repaired.got(), want) })
}

func TestOnlyWantedTypes(t *testing.T) {
	rc := newReceiver(t, nil)
	r := newRig(t, nil)
	s := sinkOf("s", rc.URL)
	s.Types = []string{"io.tiktok-operator.message.sent"}
	r.apply(channelWith(s))
	r.put(uid, "received", 3)
	if _, err := r.log.Append(t.Context(), eventlog.Record{ID: "sent", App: "app", ChannelUID: uid, Body: body("im_send_msg", "m", "c")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event sent", func() bool { return inOrder(rc.got(), []string{"sent"}) })
	if rc.tried() != 1 {
		t.Fatalf("%d requests", rc.tried())
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	rc := newReceiver(t, nil)
	r := newRig(t, func(o *dispatch.Options) { o.AllowPrivateSinks = false })
	r.apply(channelWith(sinkOf("ip", rc.URL), sinkOf("name", strings.Replace(rc.URL, "127.0.0.1", "localhost", 1))))
	r.put(uid, "evt", 1)
	eventually(t, "refusals", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "forbidden_address") > 4 })
	if rc.tried() != 0 {
		t.Fatal("a loopback address was reached")
	}
	if !strings.Contains(r.logged.String(), "is loopback") {
		t.Errorf("the reason is not in the log: %s", r.logged)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestServiceRefs(t *testing.T) {
	rc := newReceiver(t, nil)
	hosts := make(chan string, 10)
	r := newRig(t, func(o *dispatch.Options) {
		o.AllowPrivateSinks = false // Services are private by nature
		o.ServiceTransport = roundTripper(func(r *http.Request) (*http.Response, error) {
			hosts <- r.URL.String()
			r = r.Clone(r.Context())
			r.URL.Host = strings.TrimPrefix(rc.URL, "http://")
			return http.DefaultTransport.RoundTrip(r)
		})
	})
	s := sinkOf("s", "")
	s.Ref = &v1alpha1.SinkReference{Kind: "Service", Name: "svc", Path: "/in"}
	r.apply(channelWith(s))
	want := r.put(uid, "evt", 1)
	eventually(t, "the Service is missed", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "unresolved") > 1 })
	if err := r.client.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event", func() bool { return inOrder(rc.got(), want) })
	if host := <-hosts; host != "http://svc.ns.svc:8080/in" {
		t.Fatalf("requested %s", host)
	}
}

// serviceAt is a Service with the address and port of a receiver.
func serviceAt(t *testing.T, rc *receiver) *corev1.Service {
	t.Helper()
	address := netip.MustParseAddrPort(strings.TrimPrefix(rc.URL, "http://"))
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: address.Addr().String(), Ports: []corev1.ServicePort{{Port: int32(address.Port())}},
		},
	}
}

func serviceSink() v1alpha1.Sink {
	s := sinkOf("s", "")
	s.Ref = &v1alpha1.SinkReference{Kind: "Service", Name: "svc"}
	return s
}

func TestServicesLeadNeitherToThisMachineNorToMetadata(t *testing.T) {
	rc := newReceiver(t, nil)
	r := newRig(t, func(o *dispatch.Options) { o.AllowPrivateSinks = false }, serviceAt(t, rc))
	r.apply(channelWith(serviceSink()))
	r.put(uid, "evt", 1)
	eventually(t, "refusals", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "forbidden_address") > 1 })
	if rc.tried() != 0 {
		t.Fatal("a loopback address was reached")
	}
	if !strings.Contains(r.logged.String(), "is loopback: no Service") {
		t.Errorf("the reason is not in the log: %s", r.logged)
	}
}

// A Service's address is read with the Service, and dialled: cluster DNS is not asked, so that a Service which is another one by then leads nowhere
// else.
func TestServicesAreReachedAtTheAddressThatWasChecked(t *testing.T) {
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // each delivery dials anew
	})
	service := serviceAt(t, rc)
	r := newRig(t, nil, service)
	r.apply(channelWith(serviceSink()))
	want := r.put(uid, "evt", 1)
	eventually(t, "the event", func() bool { return inOrder(rc.got(), want) })
	if host := rc.requests[0].Host; host != fmt.Sprintf("svc.ns.svc:%d", service.Spec.Ports[0].Port) {
		t.Errorf("the Host is %s", host)
	}
	service.Spec.Type, service.Spec.ClusterIP, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "", "metadata.example"
	if err := r.client.Update(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	want = append(want, r.put(uid, "soon", 1)...)
	eventually(t, "what is delivered before the Service is looked at again", func() bool { return inOrder(rc.got(), want) })
}

func TestRemovedSinksAndChannelsAreForgotten(t *testing.T) {
	a, b := newReceiver(t, nil), newReceiver(t, always(500))
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("a", a.URL), sinkOf("b", b.URL)))
	r.put(uid, "evt", 2)
	eventually(t, "deliveries", func() bool {
		return len(a.got()) == 2 && b.tried() > 1 && r.metric("tiktok_operator_sink_pending_events", "sink", "b") == 2
	})
	sinks := func() []string {
		t.Helper()
		states, err := r.log.Sinks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range states {
			names = append(names, s.ChannelUID+"/"+s.Sink)
		}
		return names
	}
	r.apply(channelWith(sinkOf("a", a.URL)))
	if got := sinks(); !same(got, []string{"uid-1/a"}) {
		t.Fatalf("got %v", got)
	}
	if logged := r.logged.String(); !strings.Contains(logged, `"sink"="b"`) || !strings.Contains(logged, `"not delivered"=2`) ||
		strings.Count(logged, `"not delivered"`) != 1 {
		t.Errorf("it is not told what the removed sink did not take: %s", logged)
	}
	// Of what was given up, b may still hear.
	tries := func() float64 { return r.metric("tiktok_operator_deliveries_total", "outcome", "failed") }
	tried := tries()
	r.put(uid, "more", 1)
	eventually(t, "the other sink goes on", func() bool { return len(a.got()) == 3 })
	if tries() != tried {
		t.Error("a removed sink was delivered to")
	}
	// Deleted and made again, under the same name: another channel.
	reborn := channelWith(sinkOf("a", a.URL))
	reborn.UID = "uid-2"
	r.apply(reborn)
	if got := sinks(); !same(got, []string{"uid-2/a"}) {
		t.Fatalf("got %v", got)
	}
	// Deleted while nobody looked.
	r.restart()
	known, err := r.d.Known(t.Context())
	if err != nil || len(known) != 1 || known[0] != (types.NamespacedName{Namespace: "ns", Name: "ch"}) {
		t.Fatalf("known are %v, %v", known, err)
	}
	reconciler := &dispatch.Reconciler{Reader: r.client, Dispatcher: r.d}
	if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: known[0]}); err != nil {
		t.Fatal(err)
	}
	if got := sinks(); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	if err := r.client.Create(t.Context(), channelWith(sinkOf("a", a.URL))); err != nil {
		t.Fatal(err)
	}
	if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: known[0]}); err != nil {
		t.Fatal(err)
	}
	if got := sinks(); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
}

// It does so by the log's clock: what this machine takes for the time may be far from it.
func TestNewSinkBeginsShortlyBeforeItWasSeen(t *testing.T) {
	for name, off := range map[string]time.Duration{"right": 0, "ahead": time.Hour, "behind": -time.Hour} {
		t.Run("clock "+name, func(t *testing.T) {
			rc := newReceiver(t, nil)
			clock := stepped{clocktesting.NewFakeClock(time.Now().Add(off))}
			r := newRig(t, func(o *dispatch.Options) { o.Clock = clock })
			want := r.put(uid, "just-before", 2) // another replica knew the channel a moment earlier
			r.apply(channelWith(sinkOf("s", rc.URL)))
			want = append(want, r.put(uid, "after", 4)...)
			eventually(t, "what was stored just before, and what follows", func() bool {
				clock.Step(time.Millisecond)
				return inOrder(rc.got(), want)
			})
		})
	}
}

// silent is an event log that does not say where a sink is to begin while it is away.
type silent struct {
	*eventlog.Log
	away  atomic.Bool
	asked chan time.Duration // how long ago
}

func (s *silent) Since(ctx context.Context, channelUID string, ago time.Duration) (eventlog.Position, error) {
	s.asked <- ago
	if s.away.Load() {
		return eventlog.Position{}, &eventlog.UnavailableError{Doing: "looking", Err: errors.New("no server")}
	}
	return s.Log.Since(ctx, channelUID, ago)
}

// Where the log could not say where a new sink begins, it is asked again after a while: what others stored meanwhile is not to be missed.
func TestNewSinkBeginsShortlyBeforeItWasFirstSeen(t *testing.T) {
	log, clock := &silent{asked: make(chan time.Duration, 2)}, clocktesting.NewFakeClock(time.Now())
	r := &rig{t: t, logOptions: eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)}}
	r.options = dispatch.Options{Clock: clock, ShutdownGrace: time.Second}
	r.wrap = func(opened *eventlog.Log) dispatch.EventLog {
		log.Log = opened
		return log
	}
	r.start()
	t.Cleanup(func() { r.stop() })
	one, two := channelWith(sinkOf("s", "https://sink.example")), channelWith(sinkOf("s", "https://sink.example"), sinkOf("t", "https://sink.example"))
	log.away.Store(true)
	if err := r.d.Apply(t.Context(), one); err == nil {
		t.Fatal("it began nowhere")
	}
	first := <-log.asked
	clock.Step(20 * time.Minute)
	log.away.Store(false)
	r.apply(one)
	if again := <-log.asked; again != first+20*time.Minute {
		t.Errorf("it begins %s ago; it was to begin %s before it was seen, 20 minutes ago", again, first)
	}
	// One that was removed meanwhile is new when it comes back.
	log.away.Store(true)
	for _, ch := range []*v1alpha1.TiktokChannel{two, one, two} {
		_ = r.d.Apply(t.Context(), ch)
		clock.Step(time.Minute)
	}
	if a, b := <-log.asked, <-log.asked; a != first || b != first {
		t.Errorf("it begins %s, then %s before it was seen", a, b)
	}
}

func TestShutdownLetsAnAttemptFinish(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	rc := newReceiver(t, func(attempt int, _ http.ResponseWriter, _ *http.Request) {
		if attempt == 1 {
			close(started)
			<-release
		}
	})
	r := newRig(t, nil)
	ch := channelWith(sinkOf("s", rc.URL))
	r.apply(ch)
	want := r.put(uid, "evt", 6)
	<-started
	eventually(t, "the other conversations", func() bool { return len(rc.got()) == 4 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.stop() }()
	select {
	case <-stopped:
		t.Fatal("it stopped with a delivery under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	<-stopped
	if got := rc.got(); len(got) != 5 || !begun(got, want) {
		t.Fatalf("got %v", got)
	}
	r.start()
	r.apply(ch)
	eventually(t, "the rest, each once", func() bool { return inOrder(rc.got(), want) })
}

func TestTenThousandIdleSinksCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rc := newReceiver(t, nil)
	r := newRig(t, nil)
	eventually(t, "the start", func() bool { _, err := r.d.Known(t.Context()); return err == nil })
	before := runtime.NumGoroutine()
	const n = 10_000
	for i := range n {
		ch := channelWith(sinkOf("s", rc.URL))
		ch.Name, ch.UID = fmt.Sprint("ch-", i), types.UID(fmt.Sprint("uid-", i))
		r.apply(ch)
	}
	eventually(t, "all workers are idle", func() bool { return runtime.NumGoroutine() < before+50 })
	want := r.put("uid-7777", "evt", 3)
	eventually(t, "one of them delivers", func() bool { return inOrder(rc.got(), want) })
}

func TestMetricsAreWellFormed(t *testing.T) {
	r := newRig(t, nil)
	r.apply(channelWith(sinkOf("s", "https://example.invalid")))
	problems, err := testutil.GatherAndLint(r.registry)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
}

func (r *rig) metric(name, label, value string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if family.GetName() == name && l.GetName() == label && l.GetValue() == value {
					return m.Counter.GetValue() + m.Gauge.GetValue()
				}
			}
		}
	}
	return 0
}
