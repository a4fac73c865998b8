package outbound_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/capability"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/projection"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	shop     = "-000shop"
	uid      = "uid-1"
	sendPath = "business/message/send/"
	listPath = "business/message/content/list/"
)

// bench is TikTok's stand-in with the webhook endpoint, the event log, and what the cluster holds of one channel. All but the event log share
// a clock, which moves while somebody waits for it.
type bench struct {
	*testing.T
	sim     *simulator.Simulator
	clock   *clocktesting.FakeClock
	log     *eventlog.Log
	states  *projection.Projection
	cluster client.Client
	api     string
	hook    string
	// conversation that a user has begun.
	conversation string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, clock: clocktesting.NewFakeClock(time.Now())}
	b.sim = simulator.New(simulator.Options{Clock: b.clock})
	server := httptest.NewServer(b.sim)
	t.Cleanup(func() { b.sim.Close(); server.CloseClientConnections(); server.Close() })
	b.api = server.URL + "/open_api/v1.3/"
	var err error
	if b.log, err = eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.log.Close() })
	b.states = projection.New(b.log)

	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	b.cluster = fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).
		WithObjects(
			&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{
				AppID: "sim-app", Endpoints: &v1alpha1.AppEndpoints{API: b.api}, RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
				SecretRef: v1alpha1.AppSecretReference{Namespace: "system", Name: "app"},
			}},
			channel(),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "app"}, Data: map[string][]byte{"app_secret": []byte("sim-secret")}},
		).Build()
	b.setToken(b.sim.IssueToken(shop).AccessToken)
	webhooks, err := ingest.New(ingest.Options{
		Reader: b.cluster, Credentials: appclient.New(appclient.Options{Reader: b.cluster}), Log: b.log,
		Router: ingest.NewRouter(b.cluster, b.log, logr.Discard()), Clock: b.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(webhooks)
	t.Cleanup(hook.Close)
	b.hook = hook.URL + "/webhooks/app"
	b.sim.SetWebhook("DIRECT_MESSAGE", b.hook)
	b.conversation = b.write("hello")
	b.write("is anybody there?") // from the second on there is no quota
	return b
}

func channel() *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: uid},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: shop},
	}
}

// setToken writes the token Secret as the manager would.
func (b *bench) setToken(accessToken string) {
	b.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: channel().TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: "main"}},
		Type:       v1alpha1.TokenSecretType,
		Data: map[string][]byte{
			"access_token": []byte(accessToken), "refresh_token": []byte("rft.x"), "business_id": []byte(shop),
			"access_token_expires_at": []byte(b.clock.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)),
		},
	}
	if err := errors.Join(client.IgnoreNotFound(b.cluster.Delete(b.Context(), secret.DeepCopy())), b.cluster.Create(b.Context(), secret)); err != nil {
		b.Fatal(err)
	}
}

// write lets the user write.
func (b *bench) write(text string) (conversationID string) {
	b.Helper()
	d, err := b.sim.SendEvent(b.Context(), simulator.Event{Business: shop, Text: text})
	if err != nil || d.Status != http.StatusOK {
		b.Fatalf("the user's message: %v %+v", err, d)
	}
	return d.ConversationID
}

// change of the parts of a sender.
type change struct {
	transport http.RoundTripper
	log       outbound.Log
	refresher outbound.Refresher
	policy    messaging.Policy
	metrics   *outbound.Metrics
}

// sender is one process.
func (b *bench) sender(c change) *outbound.Sender {
	b.Helper()
	calling := tiktok.NewHTTPClient()
	if c.transport != nil {
		calling.Transport = c.transport
	}
	apps := appclient.New(appclient.Options{Reader: b.cluster, HTTPClient: calling, Clock: b.clock})
	sessions, err := business.New(business.Options{
		Reader: b.cluster, Apps: apps, Tokens: tokenstore.New(tokenstore.Options{Client: b.cluster}), Clock: b.clock,
		Allowed: func(context.Context, *v1alpha1.TiktokApp, string) (bool, error) { return true, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	if c.log == nil {
		c.log = b.log
	}
	if c.refresher == nil {
		c.refresher = &outbound.Annotator{Client: b.cluster, Clock: b.clock}
	}
	s, err := outbound.New(outbound.Options{
		Log: c.log, States: b.states, Sessions: sessions, Apps: apps, Images: capability.New(sessions, apps, b.clock), Refresher: c.refresher,
		Policy: c.policy, Clock: b.clock, Metrics: c.metrics, Logger: testr.New(b.T),
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// answer of a request.
type answer struct {
	sent *outbound.Sent
	err  error
}

func (b *bench) request(key, text string) outbound.Request {
	return outbound.Request{
		Channel: channel(), ConversationID: b.conversation, IdempotencyKey: key, Message: messaging.Message{Text: text},
	}
}

// start sends in the background.
func (b *bench) start(ctx context.Context, s *outbound.Sender, r outbound.Request) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		sent, err := s.Send(ctx, r)
		done <- answer{sent, err}
	}()
	return done
}

// send sends, and lets the time pass for which that waits.
func (b *bench) send(s *outbound.Sender, r outbound.Request) (*outbound.Sent, error) {
	b.Helper()
	return b.await(b.start(b.Context(), s, r))
}

func (b *bench) await(done <-chan answer) (*outbound.Sent, error) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case got := <-done:
			return got.sent, got.err
		case <-time.After(5 * time.Millisecond):
			if b.clock.HasWaiters() {
				b.clock.Step(100 * time.Millisecond)
			}
		}
	}
	b.Fatal("no answer within a minute")
	return nil, nil
}

// arrived is how many messages of the business TikTok has in the conversation.
func (b *bench) arrived() int {
	for _, c := range b.sim.Conversations(shop) {
		if c.ID == b.conversation {
			return c.SentSince
		}
	}
	return 0
}

func (b *bench) wantArrived(n int) {
	b.Helper()
	if got := b.arrived(); got != n {
		b.Errorf("TikTok has %d messages, want %d", got, n)
	}
}

func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("not within half a minute: %s", what)
		}
	}
}

// message is what is known of one, by its id or its send's; nil if nothing is.
func (b *bench) message(id string) *conversation.Message {
	b.Helper()
	state, _, err := b.states.State(b.Context(), channel(), b.conversation)
	if err != nil {
		b.Fatal(err)
	}
	return state.Message(id)
}

// wantStatus waits for a message's status.
func (b *bench) wantStatus(id string, want cloudevent.Status) {
	b.Helper()
	b.eventually("the status "+string(want), func() bool {
		m := b.message(id)
		return m != nil && m.Status == want
	})
}

// statuses are what the events told of a send, in their order.
func (b *bench) statuses(sendID string) (told []cloudevent.Status) {
	b.Helper()
	q := eventlog.Query{ChannelUID: uid, Limit: 1000, MaxBytes: 16 << 20}
	stored, _, err := b.log.Events(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range stored {
		event, err := projection.Event(channel(), e)
		if err != nil {
			b.Fatal(err)
		}
		var d cloudevent.StatusData
		if event.Type != cloudevent.TypeMessageStatus {
			continue
		}
		if err := json.Unmarshal(event.Data, &d); err != nil {
			b.Fatal(err)
		}
		if d.SendID == sendID {
			told = append(told, d.Status)
		}
	}
	return told
}
