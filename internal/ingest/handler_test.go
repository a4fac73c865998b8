package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	secret   = tiktok.Secret("app-secret-1")
	previous = tiktok.Secret("app-secret-0")
	business = "-biz_1"
)

// credentials is a CredentialSource with a cache that may be stale.
type credentials struct {
	mu             sync.Mutex
	cached, stored appclient.Credentials
	err            error
	silent         bool          // no answer comes before the caller gives up
	held           chan struct{} // no answer comes before it is closed
	forgotten      int
	asked          int
}

func (c *credentials) Credentials(ctx context.Context, _ *v1alpha1.TiktokApp) (appclient.Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if held := c.held; held != nil {
		c.mu.Unlock()
		<-held
		c.mu.Lock()
	}
	if c.silent {
		<-ctx.Done()
		return appclient.Credentials{}, ctx.Err()
	}
	return c.cached, c.err
}

func (c *credentials) Cached(*v1alpha1.TiktokApp, time.Time) (appclient.Credentials, bool) {
	return appclient.Credentials{}, false
}

func (c *credentials) Forget(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	c.cached = c.stored
}

// brokenLog fails as it is told to.
type brokenLog struct {
	ingest.EventLog
	err    error
	before func() // runs once, before the next append
	jobErr error
	// routing, if not nil, holds up the moving of unrouted events until it is closed.
	routing chan struct{}
}

func (b *brokenLog) RouteUnrouted(
	ctx context.Context, app, businessID, channelUID string, each func(context.Context, eventlog.Record) error,
) (int, error) {
	if b.routing != nil {
		select {
		case <-b.routing:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return b.EventLog.RouteUnrouted(ctx, app, businessID, channelUID, each)
}

func (b *brokenLog) AddJob(ctx context.Context, j eventlog.Job) error {
	if b.jobErr != nil {
		return b.jobErr
	}
	return b.EventLog.AddJob(ctx, j)
}

func (b *brokenLog) Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error) {
	if b.err != nil {
		return eventlog.Result{}, b.err
	}
	if before := b.before; before != nil {
		b.before = nil
		before()
	}
	return b.EventLog.Append(ctx, r)
}

type fixture struct {
	handler  *ingest.Handler
	router   *ingest.Router
	client   client.Client
	creds    *credentials
	log      *eventlog.Log
	broken   *brokenLog
	clock    *clocktesting.FakeClock
	registry *prometheus.Registry
	logged   *bytes.Buffer
	lookups  atomic.Int64
	getErr   error
}

func channel(name string, uid types.UID, businessID string) *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: uid},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: businessID},
	}
}

func setup(t *testing.T, objects ...client.Object) *fixture {
	t.Helper()
	return setupWith(t, func(*ingest.Options) {}, objects...)
}

// setupWith is setup with other options.
func setupWith(t *testing.T, change func(*ingest.Options), objects ...client.Object) *fixture {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	objects = append(objects,
		&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{AppID: "client-1"}},
		&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: v1alpha1.TiktokAppSpec{AppID: "client-2"}})
	f := &fixture{
		creds: &credentials{cached: appclient.Credentials{Current: secret, Previous: previous}},
		log:   log, clock: clocktesting.NewFakeClock(time.Unix(1_780_000_000, 0)), registry: prometheus.NewPedanticRegistry(),
		logged: &bytes.Buffer{},
	}
	f.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.TiktokChannel{}).
		WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).
		WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				f.lookups.Add(1)
				return c.List(ctx, list, opts...)
			},
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if f.getErr != nil {
					return f.getErr
				}
				return c.Get(ctx, key, o, opts...)
			},
		}).Build()
	f.creds.stored = f.creds.cached
	f.broken = &brokenLog{EventLog: log}
	f.router = ingest.NewRouter(f.client, f.broken, logr.Discard())
	var logging sync.Mutex // webhooks are logged by those who send them, at once in some tests
	options := ingest.Options{
		Reader: f.client, Credentials: f.creds, Log: f.broken, Router: f.router, Clock: f.clock, Registerer: f.registry,
		Logger: funcr.New(func(_, args string) {
			logging.Lock()
			defer logging.Unlock()
			fmt.Fprintln(f.logged, args)
		}, funcr.Options{Verbosity: 10}),
	}
	change(&options)
	f.handler, err = ingest.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func envelope(event, businessID string, content map[string]any) []byte {
	inner, _ := json.Marshal(content)
	body, _ := json.Marshal(map[string]any{
		"client_key": "client-1", "event": event, "create_time": 1_780_000_000, "user_openid": businessID, "content": string(inner),
	})
	return body
}

func text(id, conversation string) []byte {
	return envelope("im_receive_msg", business, map[string]any{
		"message_id": id, "conversation_id": conversation, "type": "text", "text": map[string]any{"body": "hi"},
	})
}

// post sends a body signed now with a secret.
func (f *fixture) post(path string, body []byte, with tiktok.Secret) *httptest.ResponseRecorder {
	return f.send(http.MethodPost, path, body, tiktok.Sign(with, body, f.clock.Now()))
}

func (f *fixture) send(method, path string, body []byte, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	if signature != "" {
		r.Header.Set(tiktok.SignatureHeader, signature)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func (f *fixture) events(t *testing.T, uid string) []eventlog.Stored {
	t.Helper()
	var events []eventlog.Stored
	var p eventlog.Position
	for {
		e, err := f.log.Next(t.Context(), uid, p)
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return events
		}
		events, p.Sequence = append(events, *e), e.Sequence
	}
}

// messages are the ids of the messages of a channel, in the order of the log.
func (f *fixture) messages(t *testing.T, uid string) (ids []string) {
	t.Helper()
	for _, e := range f.events(t, uid) {
		var outer struct{ Content string }
		var inner struct {
			ID string `json:"message_id"`
		}
		if err := json.Unmarshal(e.Body, &outer); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(outer.Content), &inner); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, inner.ID)
	}
	return ids
}

func (f *fixture) count(t *testing.T, metric string, labels ...string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.Metric {
			matches := 0
			for i := 0; i < len(labels); i += 2 {
				for _, l := range m.Label {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						matches++
					}
				}
			}
			if matches == len(labels)/2 {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

func TestStoresBeforeAcknowledging(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	body := text("7498765432109876543", "c+/=")
	for i, path := range []string{"/webhooks/app", "/webhooks/app/", "/some/prefix/webhooks/app"} {
		if w := f.post(path, body, secret); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		events := f.events(t, "uid-1")
		if len(events) != 1 {
			t.Fatalf("%d events after delivery %d of one event", len(events), i+1)
		}
		if e := events[0]; !bytes.Equal(e.Body, body) || e.Conversation != "c+/=" || e.App != "app" || e.BusinessID != business ||
			e.Event != "im_receive_msg" || !strings.HasPrefix(e.ID, "evt_") || !e.ReceivedAt.Equal(f.clock.Now()) {
			t.Fatalf("stored %+v", e)
		}
	}
	if n := f.count(t, "tiktok_operator_webhook_requests_total", "app", "app", "outcome", "duplicate"); n != 2 {
		t.Errorf("%v duplicates counted", n)
	}
	if n := f.count(t, "tiktok_operator_events_total", "type", "io.tiktok-operator.message.received", "outcome", "stored"); n != 1 {
		t.Errorf("%v events counted as stored", n)
	}
}

func TestIdentity(t *testing.T) {
	message := func(event, id string, extra map[string]any) []byte {
		content := map[string]any{"message_id": id, "conversation_id": "c"}
		for k, v := range extra {
			content[k] = v
		}
		return envelope(event, business, content)
	}
	reaction := func(operation string) map[string]any {
		return map[string]any{"type": "reaction", "reaction": []any{map[string]any{"operation": operation, "emoji": "x"}}}
	}
	f := setup(t, channel("ch", "uid-1", business))
	for i, step := range []struct {
		body []byte
		want int // events stored so far
	}{
		{message("im_receive_msg", "1", nil), 1},
		{message("im_receive_msg", "1", map[string]any{"is_follower": true}), 1}, // retold with another field: the same message
		{message("im_send_msg", "1", nil), 2},
		{message("im_receive_msg", "2", nil), 3},
		{message("im_mark_read_msg", "", map[string]any{"read": map[string]any{"last_read_timestamp": 1}}), 4},
		{message("im_mark_read_msg", "", map[string]any{"read": map[string]any{"last_read_timestamp": 1}}), 4},
		{message("im_mark_read_msg", "", map[string]any{"read": map[string]any{"last_read_timestamp": 2}}), 5},
		{message("im_receive_msg", "3", reaction("ADD")), 6},
		{message("im_receive_msg", "3", reaction("REMOVE")), 7},
		{message("im_receive_msg", "3", reaction("ADD")), 7},
		{envelope("comment.update", business, nil), 8},
		{[]byte(`{"client_key":"client-1","event":"new.event","user_openid":"` + business + `","content":"not json"}`), 9},
		{[]byte(`{"event":"new.event","user_openid":"` + business + `"}`), 10}, // no client_key, no content
	} {
		if w := f.post("/webhooks/app", step.body, secret); w.Code != http.StatusOK {
			t.Fatalf("step %d: %d %s", i, w.Code, w.Body)
		}
		if got := len(f.events(t, "uid-1")); got != step.want {
			t.Fatalf("step %d: %d events, want %d", i, got, step.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	body := text("1", "c")
	now := time.Unix(1_780_000_000, 0)
	sign := func(age time.Duration) string { return tiktok.Sign(secret, body, now.Add(-age)) }
	wrongApp := bytes.Replace(body, []byte("client-1"), []byte("client-2"), 1)
	for name, tc := range map[string]struct {
		method, path, signature string
		body                    []byte
		want                    int
		text                    string
		outcome, app            string
	}{
		"method":            {method: http.MethodGet, path: "/webhooks/app", want: 405, text: "POST", outcome: "method_not_allowed"},
		"another path":      {path: "/webhooks/app/more", body: body, want: 404, outcome: "unknown_app"},
		"no app":            {path: "/webhooks/", body: body, want: 404, outcome: "unknown_app"},
		"unknown app":       {path: "/webhooks/nobody", body: body, signature: sign(0), want: 404, outcome: "unknown_app"},
		"too large":         {path: "/webhooks/app", body: make([]byte, 1<<20+1), want: 413, text: "1048576", outcome: "too_large"},
		"no signature":      {path: "/webhooks/app", body: body, want: 401, outcome: "bad_signature", app: "app"},
		"malformed":         {path: "/webhooks/app", body: body, signature: "t=,s=zz", want: 401, outcome: "bad_signature", app: "app"},
		"another secret":    {path: "/webhooks/app", body: body, signature: tiktok.Sign("x", body, now), want: 401, outcome: "bad_signature", app: "app"},
		"another body":      {path: "/webhooks/app", body: []byte("{}"), signature: sign(0), want: 401, outcome: "bad_signature", app: "app"},
		"too old":           {path: "/webhooks/app", body: body, signature: sign(72*time.Hour + time.Second), want: 401, text: "older than 72h", outcome: "bad_time", app: "app"},
		"from the future":   {path: "/webhooks/app", body: body, signature: sign(-5*time.Minute - time.Second), want: 401, text: "clock", outcome: "bad_time", app: "app"},
		"not JSON":          {path: "/webhooks/app", body: []byte("{"), signature: tiktok.Sign(secret, []byte("{"), now), want: 400, text: "decoded", outcome: "undecodable", app: "app"},
		"no event":          {path: "/webhooks/app", body: []byte("{}"), signature: tiktok.Sign(secret, []byte("{}"), now), want: 400, outcome: "undecodable", app: "app"},
		"another app's":     {path: "/webhooks/app", body: wrongApp, signature: tiktok.Sign(secret, wrongApp, now), want: 400, text: "client_key", outcome: "wrong_app", app: "app"},
		"old but tolerated": {path: "/webhooks/app", body: body, signature: sign(71 * time.Hour), want: 200, outcome: "stored", app: "app"},
		"fast clock":        {path: "/webhooks/app", body: body, signature: sign(-4 * time.Minute), want: 200, outcome: "stored", app: "app"},
		"previous secret":   {path: "/webhooks/app", body: body, signature: tiktok.Sign(previous, body, now), want: 200, outcome: "stored", app: "app"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, channel("ch", "uid-1", business))
			if tc.method == "" {
				tc.method = http.MethodPost
			}
			w := f.send(tc.method, tc.path, tc.body, tc.signature)
			if w.Code != tc.want || !strings.Contains(w.Body.String(), tc.text) {
				t.Fatalf("got %d %q, want %d with %q", w.Code, w.Body, tc.want, tc.text)
			}
			if tc.want != http.StatusOK {
				if f.lookups.Load() != 0 {
					t.Error("a request that was refused reached the lookup of channels")
				}
				if n := len(f.events(t, "uid-1")); n != 0 {
					t.Errorf("%d events stored", n)
				}
			}
			if n := f.count(t, "tiktok_operator_webhook_requests_total", "app", tc.app, "outcome", tc.outcome); n != 1 {
				t.Errorf("outcome %q of app %q counted %v times", tc.outcome, tc.app, n)
			}
			if tc.want == http.StatusMethodNotAllowed && w.Header().Get("Allow") != http.MethodPost {
				t.Error("no Allow header")
			}
			for _, s := range []tiktok.Secret{secret, previous} {
				if strings.Contains(w.Body.String()+f.logged.String(), s.Reveal()) {
					t.Error("the secret was told")
				}
			}
		})
	}
}

func TestOurFailuresAreNever200(t *testing.T) {
	for name, tc := range map[string]struct {
		breakIt func(*fixture)
		want    int
		outcome string
	}{
		"log full":         {func(f *fixture) { f.broken.err = &eventlog.FullError{Reason: "test"} }, 503, "log_full"},
		"log unavailable":  {func(f *fixture) { f.broken.err = &eventlog.UnavailableError{Err: errors.New("test")} }, 503, "log_unavailable"},
		"log too small":    {func(f *fixture) { f.broken.err = &eventlog.TooLargeError{} }, 413, "too_large"},
		"log closed":       {func(f *fixture) { _ = f.log.Close() }, 503, "log_unavailable"},
		"secret missing":   {func(f *fixture) { f.creds.err = &appclient.MissingError{Name: "s"} }, 503, "no_credentials"},
		"secret unreached": {func(f *fixture) { f.creds.err = errors.New("no route to the API server") }, 503, "no_credentials"},
		"cache not synced": {func(f *fixture) { f.getErr = errors.New("the cache is not started") }, 503, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, channel("ch", "uid-1", business))
			tc.breakIt(f)
			w := f.post("/webhooks/app", text("1", "c"), secret)
			if w.Code != tc.want {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if w.Code == 503 && w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			app := "app"
			if f.getErr != nil {
				app = ""
			}
			if n := f.count(t, "tiktok_operator_webhook_requests_total", "app", app, "outcome", tc.outcome); n != 1 {
				t.Errorf("outcome %q counted %v times", tc.outcome, n)
			}
			if n := f.count(t, "tiktok_operator_events_total"); n != 0 {
				t.Errorf("%v events counted", n)
			}
		})
	}
}

func TestRotatedSecretIsReadAgainButNotForEveryForgery(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.creds.stored = appclient.Credentials{Current: "rotated", Previous: secret}
	if w := f.post("/webhooks/app", text("1", "c"), "rotated"); w.Code != http.StatusOK {
		t.Fatalf("a webhook signed with the new secret: %d %s", w.Code, w.Body)
	}
	for range 20 {
		if w := f.post("/webhooks/app", text("2", "c"), "forged"); w.Code != http.StatusUnauthorized {
			t.Fatalf("a forgery: %d", w.Code)
		}
	}
	if f.creds.forgotten != 1 {
		t.Fatalf("the secret was read again %d times within a second", f.creds.forgotten)
	}
	f.clock.Step(2 * time.Second)
	f.post("/webhooks/app", text("2", "c"), "forged")
	if f.creds.forgotten != 2 {
		t.Fatalf("the secret was read again %d times", f.creds.forgotten)
	}
}

func TestUnknownBusinessIsRoutedWhenItsChannelAppears(t *testing.T) {
	f := setup(t, channel("elsewhere", "uid-0", "another business"))
	post := func(id string) {
		t.Helper()
		if w := f.post("/webhooks/app", text(id, "c"), secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	post("1")
	post("2")
	post("2")
	if n := f.count(t, "tiktok_operator_events_total", "outcome", "unrouted"); n != 2 {
		t.Errorf("%v unrouted events counted", n)
	}
	ch := channel("ch", "uid-1", "")
	if err := f.client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	post("3") // the channel does not hold the business yet
	ch.Status.BusinessID = business
	if err := f.client.Status().Update(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	post("4") // arrives before the controller acted: what came before goes first
	post("2")
	for range 2 {
		if _, err := f.router.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ch)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.messages(t, "uid-1"); fmt.Sprint(got) != "[1 2 3 4]" {
		t.Fatalf("got %v", got)
	}
	if n := len(f.events(t, "uid-0")); n != 0 {
		t.Fatalf("another channel got %d events", n)
	}
}

func TestChannelThatAppearsWhileAnEventIsStored(t *testing.T) {
	f := setup(t)
	f.broken.before = func() { // after the handler found no channel
		ch := channel("ch", "uid-1", business)
		if err := f.client.Create(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if _, err := f.router.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ch)}); err != nil {
			t.Fatal(err)
		}
	}
	if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if n := len(f.events(t, "uid-1")); n != 1 {
		t.Fatalf("%d events: what was stored as unrouted waits for ever", n)
	}
}

func TestControllerRoutesWithoutAFurtherEvent(t *testing.T) {
	f := setup(t)
	f.post("/webhooks/app", text("1", "c"), secret)
	ch := channel("ch", "uid-1", business)
	if err := f.client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	f.broken.err = nil
	if _, err := f.router.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ch)}); err != nil {
		t.Fatal(err)
	}
	if n := len(f.events(t, "uid-1")); n != 1 {
		t.Fatalf("%d events", n)
	}
	if err := f.client.Delete(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if _, err := f.router.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ch)}); err != nil {
		t.Fatal(err)
	}
}

func TestChannelsOfOtherAppsAndSuspendedOnes(t *testing.T) {
	foreign := channel("foreign", "uid-2", business)
	foreign.Spec.AppRef.Name = "other"
	suspended := channel("ch", "uid-1", business)
	suspended.Spec.Suspend = true
	deleting := channel("old", "uid-3", business)
	deleting.Finalizers = []string{v1alpha1.Finalizer}
	deleting.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	f := setup(t, foreign, suspended, deleting)
	if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for uid, want := range map[string]int{"uid-1": 1, "uid-2": 0, "uid-3": 0} {
		if got := len(f.events(t, uid)); got != want {
			t.Errorf("%s has %d events, want %d", uid, got, want)
		}
	}
	if err := f.client.Delete(t.Context(), suspended); err != nil {
		t.Fatal(err)
	}
	if w := f.post("/webhooks/app", text("2", "c"), secret); w.Code != http.StatusOK || len(f.events(t, "uid-3")) != 1 {
		t.Fatalf("a channel that is being deleted: %d", w.Code)
	}
}

func TestBodyLimitsOverTheWire(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	server := httptest.NewUnstartedServer(nil)
	server.Config = ingest.NewServer(f.handler, nil)
	server.Start()
	defer server.Close()
	// Without a length the limit is met while reading.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhooks/app", io.LimitReader(zeros{}, 2<<20))
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("a chunked body of 2 MiB: %d", response.StatusCode)
	}
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhooks/app", nil)
	r.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	response, err = server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("headers of 64 KiB: %d", response.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestMetricsAreWellFormed(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.post("/webhooks/app", text("1", "c"), secret)
	problems, err := testutil.GatherAndLint(f.registry)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", problems, err)
	}
}

func FuzzHandler(f *testing.F) {
	f.Add(text("1", "c"))
	f.Add([]byte(`{"event":"x","user_openid":"-biz_1","content":{"message_id":12345678901234567890}}`))
	f.Add([]byte(`{"event":"im_receive_msg","user_openid":"a\r\nb","content":"{\"conversation_id\":\"\\u0000> *\"}"}`))
	f.Add([]byte(`{"event":["x"]}`))
	f.Add([]byte("\xff\xfe"))
	log, err := eventlog.Open(context.Background(), eventlog.Options{DataDir: f.TempDir(), Fsync: eventlog.Fsync(time.Minute)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = log.Close() })
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		f.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).
		WithObjects(&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{AppID: "client-1"}}).
		WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).Build()
	handler, err := ingest.New(ingest.Options{
		Reader: c, Credentials: &credentials{cached: appclient.Credentials{Current: secret}}, Log: log,
		Router: ingest.NewRouter(c, log, logr.Discard()),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		statuses := [2]int{}
		for i := range statuses {
			r := httptest.NewRequest(http.MethodPost, "/webhooks/app", bytes.NewReader(body))
			r.Header.Set(tiktok.SignatureHeader, tiktok.Sign(secret, body, time.Now()))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			statuses[i] = w.Code
		}
		// What is genuine is either stored or the sender's fault, and the same each time.
		if s := statuses[0]; s != statuses[1] || (s != 200 && s != 400 && s != 413) {
			t.Fatalf("got %v", statuses)
		}
	})
}
