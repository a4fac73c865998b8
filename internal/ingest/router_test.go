package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// TestALargeBacklogHoldsNoWebhookUp: while earlier events are being moved to the channel, later ones are answered 200, and stored behind them.
// That the sender of the first one leaves does not end the moving.
func TestALargeBacklogHoldsNoWebhookUp(t *testing.T) {
	f := setup(t)
	post := func(ctx context.Context, id string) {
		t.Helper()
		body := text(id, "c")
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/app", bytes.NewReader(body))
		r.Header.Set(tiktok.SignatureHeader, tiktok.Sign(secret, body, f.clock.Now()))
		w := httptest.NewRecorder()
		if f.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("event %s: %d %s", id, w.Code, w.Body)
		}
	}
	post(t.Context(), "1")
	post(t.Context(), "2")
	ch := channel("ch", "uid-1", business)
	if err := f.client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	f.broken.routing = make(chan struct{})
	first, leaves := context.WithCancel(t.Context())
	post(first, "3") // waits for a while
	leaves()
	start := time.Now()
	for id := 4; id <= 20; id++ {
		post(t.Context(), fmt.Sprint(id))
	}
	post(t.Context(), "3")
	if took := time.Since(start); took > 18*time.Second { // two for each, if each waits
		t.Errorf("18 webhooks took %s: each waits", took)
	}
	if got := f.messages(t, "uid-1"); len(got) != 0 {
		t.Errorf("%v overtook what came before the channel did", got)
	}
	close(f.broken.routing)
	if err := f.router.Ensure(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	post(t.Context(), "21")
	if got, want := f.messages(t, "uid-1"), fmt.Sprint([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if n := f.count(t, "tiktok_operator_events_total", "outcome", "unrouted"); n != 2 {
		t.Errorf("%v unrouted events counted", n)
	}
}

// TestAWaiterLeavesWithItsContext, whoever began what it waits for.
func TestAWaiterLeavesWithItsContext(t *testing.T) {
	f := setup(t)
	ch := channel("ch", "uid-1", business)
	f.broken.routing = make(chan struct{})
	defer close(f.broken.routing)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for range 2 { // who begins it, and who finds it begun
		if ready, err := f.router.Ready(ctx, ch); ready || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", ready, err)
		}
	}
	if err := f.router.Ensure(ctx, ch); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
}

// TestWhatCannotBeMovedIsNotAcknowledged: unrouted events do not wait for ever, so no event joins them while they cannot be moved.
func TestWhatCannotBeMovedIsNotAcknowledged(t *testing.T) {
	f := setup(t)
	if w := f.post("/webhooks/app", eu(1), secret); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := f.client.Create(t.Context(), channel("ch", "uid-1", business)); err != nil {
		t.Fatal(err)
	}
	f.broken.jobErr = &eventlog.FullError{Reason: "no room"}
	for range 2 {
		if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	f.broken.jobErr = nil
	if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if events := f.events(t, "uid-1"); len(events) != 2 || events[0].Event != "im_receive_msg_eu" {
		t.Errorf("got %+v", events)
	}
}

// flaky is a log that moves no events while it is told to fail.
type flaky struct {
	ingest.EventLog
	fails atomic.Bool
}

func (l *flaky) RouteUnrouted(
	ctx context.Context, app, businessID, channelUID string, each func(context.Context, eventlog.Record) error,
) (int, error) {
	if l.fails.Load() {
		return 0, errors.New("not now")
	}
	return l.EventLog.RouteUnrouted(ctx, app, businessID, channelUID, each)
}

// TestAMovingThatFailsIsTriedAgain by the controller, also if no event follows.
func TestAMovingThatFailsIsTriedAgain(t *testing.T) {
	ch := channel("ch", "uid-1", business)
	f := setup(t, ch)
	f.leave(t, "1")
	log := &flaky{EventLog: f.log}
	router := ingest.NewRouter(f.client, log, logr.Discard())
	log.fails.Store(true)
	f.run(t, router)
	if ready, err := router.Ready(t.Context(), ch); ready || err == nil {
		t.Fatalf("%v, %v", ready, err)
	}
	log.fails.Store(false)
	f.arrive(t, 1)
}

// TestWhatAnotherProcessLeftIsFound: one that did not know the channel yet, and ended before it did, stored an event as unrouted after this one had
// looked for such.
func TestWhatAnotherProcessLeftIsFound(t *testing.T) {
	ch := channel("ch", "uid-1", business)
	f := setup(t, ch, channel("other", "uid-2", "another business"))
	router := ingest.NewRouter(f.client, f.log, logr.Discard())
	router.RecheckEvery(10 * time.Millisecond)
	if err := router.Ensure(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	f.run(t, router)
	for n := 1; n <= 2; n++ {
		f.leave(t, fmt.Sprint(n))
		f.arrive(t, n)
	}
	if events := f.events(t, "uid-2"); len(events) != 0 {
		t.Errorf("another channel has %+v", events)
	}
}

// TestOnlyWhoHoldsTheBusinessGetsItsEvents: while a channel gives way to another, both may name the business for a moment.
func TestOnlyWhoHoldsTheBusinessGetsItsEvents(t *testing.T) {
	gone, holder := channel("gone", "uid-2", business), channel("ch", "uid-1", business)
	gone.DeletionTimestamp, gone.Finalizers = ptr.To(metav1.Now()), []string{"example.com/waits"}
	f := setup(t, gone, holder)
	f.leave(t, "1")
	for _, name := range []string{"gone", "ch"} {
		request := ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}}
		if _, err := f.router.Reconcile(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if got, lost := f.events(t, "uid-1"), f.events(t, "uid-2"); len(got) != 1 || len(lost) != 0 {
		t.Errorf("the holder has %d events, and the channel that is going %d", len(got), len(lost))
	}
}

// leave stores an event of the business as unrouted, as a process that does not know its channel does.
func (f *fixture) leave(t *testing.T, id string) {
	t.Helper()
	if _, err := f.log.Append(t.Context(), eventlog.Record{ID: id, App: "app", BusinessID: business, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
}

// arrive waits until so many events are with the channel.
func (f *fixture) arrive(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(f.events(t, "uid-1")) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("event %d still waits", n)
		}
	}
}

// run runs a router in a manager that notices no channel, until the test ends.
func (f *fixture) run(t *testing.T, router *ingest.Router) {
	t.Helper()
	mgr, err := ctrl.NewManager(&rest.Config{}, ctrl.Options{
		Scheme: f.client.Scheme(), Metrics: server.Options{BindAddress: "0"}, Logger: logr.Discard(),
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // the test may run more than once
		NewCache: func(*rest.Config, cache.Options) (cache.Cache, error) { // nothing is noticed
			return &informertest.FakeInformers{Scheme: f.client.Scheme()}, nil
		},
		NewClient:      func(*rest.Config, client.Options) (client.Client, error) { return f.client, nil },
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return f.client.RESTMapper(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := router.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
