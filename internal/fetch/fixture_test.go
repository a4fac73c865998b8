package fetch_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/fetch"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	business = "biz-0001"
	uid      = "uid-1"
	secretNS = "system"
)

// bench is TikTok's stand-in, the webhook endpoint, the event log, and what the cluster holds of one channel.
type bench struct {
	*testing.T
	sim      *simulator.Simulator
	api      string
	webhooks string
	clock    *clocktesting.FakeClock // of the simulator
	log      *eventlog.Log
	cluster  client.Client
	// front is what stands between TikTok's stand-in and the worker.
	front *front
	// retries are the jobs' errors, with the delays that they asked for.
	retries chan *eventlog.RetryError
}

func newBench(t *testing.T, change ...func(*eventlog.Options)) *bench {
	t.Helper()
	b := &bench{T: t, clock: clocktesting.NewFakeClock(time.Now()), retries: make(chan *eventlog.RetryError, 1000)}
	b.sim = simulator.New(simulator.Options{Clock: b.clock})
	b.front = &front{Handler: b.sim, hidden: map[string]bool{}, held: map[string]chan struct{}{}}
	tiktok := httptest.NewServer(b.front)
	t.Cleanup(func() { b.sim.Close(); tiktok.Close() })
	b.api = tiktok.URL + "/open_api/v1.3/"
	opts := eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)}
	for _, f := range change {
		f(&opts)
	}
	var err error
	if b.log, err = eventlog.Open(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.log.Close() })

	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{
		AppID: "sim-app", Endpoints: &v1alpha1.AppEndpoints{API: b.api}, RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
		SecretRef: v1alpha1.AppSecretReference{Namespace: secretNS, Name: "app"},
	}}
	b.cluster = fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).
		WithObjects(app, b.channel(),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secretNS, Name: "app"}, Data: map[string][]byte{"app_secret": []byte("sim-secret")}}).
		Build()
	b.setToken(b.sim.IssueToken(business).AccessToken, time.Now().Add(time.Hour))

	apps := b.apps(clock.RealClock{})
	handler, err := ingest.New(ingest.Options{
		Reader: b.cluster, Credentials: apps, Log: b.log, Router: ingest.NewRouter(b.cluster, b.log, logr.Discard()), Clock: b.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b.webhooks = server.URL + "/webhooks/app"
	b.sim.SetWebhook("DIRECT_MESSAGE", b.webhooks)
	return b
}

func (b *bench) channel() *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: uid},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}, Suspend: true}, // fetches all the same
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: business},
	}
}

func (b *bench) apps(c clock.Clock) *appclient.Pool {
	return appclient.New(appclient.Options{Reader: b.cluster, Clock: c})
}

// setToken writes the token Secret as the manager would.
func (b *bench) setToken(accessToken string, expires time.Time) {
	b.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: b.channel().TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: "main"},
		},
		Type: v1alpha1.TokenSecretType,
		Data: map[string][]byte{
			"access_token": []byte(accessToken), "refresh_token": []byte("rft.x"), "business_id": []byte(business),
			"access_token_expires_at": []byte(expires.UTC().Format(time.RFC3339)),
		},
	}
	err := b.cluster.Update(b.Context(), secret) // the manager replaces what a Secret holds: the Secret is never away
	if apierrors.IsNotFound(err) {
		err = b.cluster.Create(b.Context(), secret)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// hasty is the event log with jobs that do not wait long for their next attempt. after may change what became of an attempt.
type hasty struct {
	*eventlog.Log
	b     *bench
	after func(eventlog.Job, error) error
}

func (h hasty) WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error {
	return h.Log.WorkJobs(ctx, kind, func(ctx context.Context, j eventlog.Job) error {
		err := handle(ctx, j)
		if h.after != nil {
			err = h.after(j, err)
		}
		var retry *eventlog.RetryError
		if !errors.As(err, &retry) {
			return err
		}
		select {
		case h.b.retries <- retry:
		default:
		}
		return &eventlog.RetryError{After: 10 * time.Millisecond, Err: retry.Err}
	})
}

// work runs a Worker until the returned function is called; registry has its metrics.
func (b *bench) work(c clock.Clock, apps *appclient.Pool, after func(eventlog.Job, error) error) (registry *prometheus.Registry, stop func()) {
	b.Helper()
	registry = prometheus.NewPedanticRegistry()
	w, err := fetch.New(fetch.Options{
		Log: hasty{Log: b.log, b: b, after: after}, Reader: b.cluster, Apps: apps, Tokens: tokenstore.New(tokenstore.Options{Client: b.cluster}),
		Clock: c, Registerer: registry,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
	b.Cleanup(stop)
	return registry, stop
}

// run is work with the real clock.
func (b *bench) run() (registry *prometheus.Registry, stop func()) {
	b.Helper()
	return b.work(clock.RealClock{}, b.apps(clock.RealClock{}), nil)
}

func (b *bench) send(e simulator.Event) simulator.Delivery {
	b.Helper()
	d, err := b.sim.SendEvent(b.Context(), e)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// eu lets a user of the EEA write, and the webhook be taken.
func (b *bench) eu(user, text string) simulator.Delivery {
	b.Helper()
	b.clock.Step(time.Millisecond) // no two in the same one: their webhooks would be the same
	d := b.send(simulator.Event{Event: "im_receive_msg_eu", User: user, Text: text})
	if d.Status != 200 {
		b.Fatalf("the webhook got %d %s", d.Status, d.Error)
	}
	return d
}

// events are those of the channel in the log, as sinks would get them.
func (b *bench) events() (events []cloudevent.Event, data []cloudevent.Data) {
	b.Helper()
	query := eventlog.Query{ChannelUID: uid, Limit: 100, MaxBytes: 1 << 20}
	for {
		stored, more, err := b.log.Events(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range stored {
			e, err := cloudevent.Normalize(cloudevent.Input{ID: s.ID, Namespace: "shop", Name: "main", Body: s.Body, ReceivedAt: s.ReceivedAt})
			if err != nil {
				b.Fatal(err)
			}
			var d cloudevent.Data
			if err := json.Unmarshal(e.Data, &d); err != nil {
				b.Fatal(err)
			}
			events, data, query.After = append(events, e), append(data, d), eventlog.Position{Sequence: s.Sequence}
		}
		if !more {
			return events, data
		}
	}
}

// texts are those of the users' messages in the log, in its order; of one conversation, or all.
func (b *bench) texts(conversation string) (texts []string) {
	b.Helper()
	events, data := b.events()
	for i, d := range data {
		if events[i].Type == cloudevent.TypeMessageReceived && (conversation == "" || d.ConversationID == conversation) {
			texts = append(texts, *d.Text)
		}
	}
	return texts
}

func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("not within half a minute: %s", what)
		}
	}
}

// wantTexts waits until the messages of a conversation are these, in their order.
func (b *bench) wantTexts(conversation string, want ...string) {
	b.Helper()
	var got []string
	defer func() {
		if b.Failed() {
			b.Logf("got %q, want %q", got, want)
		}
	}()
	b.eventually("the messages", func() bool { got = b.texts(conversation); return len(got) >= len(want) })
	if !slices.Equal(got, want) {
		b.Fatalf("got %q, want %q", got, want)
	}
}

// count is the value of tiktok_operator_fetches_total.
func count(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "tiktok_operator_fetches_total" && m.Label[0].GetValue() == result {
				return m.Counter.GetValue()
			}
		}
	}
	t.Fatalf("the result %q is not counted", result)
	return 0
}

// settled waits until so many jobs are done.
func (b *bench) settled(registry *prometheus.Registry, jobs int) {
	b.Helper()
	b.eventually("the end of all jobs", func() bool {
		done := 0.0
		for _, result := range []string{"fetched", "shared", "incomplete", "nothing", "refused", "expired"} {
			done += count(b.T, registry, result)
		}
		return done >= float64(jobs)
	})
}
