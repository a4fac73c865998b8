// Package outboundtest is a bench for tests of sending: TikTok's stand-in over HTTP, a real event log, the webhook endpoint, and a fake cluster
// of one channel.
package outboundtest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
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

// What the bench is of: a business, the UID of its channel, and endpoints of TikTok's.
const (
	Shop     = "-000shop"
	UID      = "uid-1"
	SendPath = "business/message/send/"
	ListPath = "business/message/content/list/"
)

// Bench is TikTok's stand-in with the webhook endpoint, the event log, and what the cluster holds of one channel. All but the event log share
// a clock, which moves while somebody waits for it.
type Bench struct {
	testing.TB
	Sim     *simulator.Simulator
	Clock   *clocktesting.FakeClock
	Log     *eventlog.Log
	States  *projection.Projection
	Cluster client.Client
	API     string
	// Hook is the address of the webhook endpoint.
	Hook string
	// Conversation that a user has begun.
	Conversation string
}

// New makes a Bench with an embedded event log.
func New(t testing.TB) *Bench {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: syncing(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return NewOn(t, log)
}

// Replica is the same bench for another process, which has the event log open too.
func (b *Bench) Replica(log *eventlog.Log) *Bench {
	r := *b
	r.Log, r.States = log, projection.New(log)
	return &r
}

// NewOn makes a Bench on an event log.
func NewOn(t testing.TB, log *eventlog.Log) *Bench {
	t.Helper()
	b := &Bench{TB: t, Clock: clocktesting.NewFakeClock(clock.RealClock{}.Now()), Log: log, States: projection.New(log)}
	b.Sim = simulator.New(simulator.Options{Clock: b.Clock})
	server := httptest.NewServer(b.Sim)
	t.Cleanup(func() { b.Sim.Close(); server.CloseClientConnections(); server.Close() })
	b.API = server.URL + "/open_api/v1.3/"

	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	b.Cluster = fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).
		WithObjects(
			&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.TiktokAppSpec{
				AppID: "sim-app", Endpoints: &v1alpha1.AppEndpoints{API: b.API}, RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
				SecretRef: v1alpha1.AppSecretReference{Namespace: "system", Name: "app"},
			}},
			Channel(),
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "app"}, Data: map[string][]byte{"app_secret": []byte("sim-secret")}},
		).Build()
	b.SetToken(b.Sim.IssueToken(Shop).AccessToken)
	webhooks, err := ingest.New(ingest.Options{
		Reader: b.Cluster, Credentials: appclient.New(appclient.Options{Reader: b.Cluster}), Log: b.Log,
		Router: ingest.NewRouter(b.Cluster, b.Log, logr.Discard()), Clock: b.Clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(webhooks)
	t.Cleanup(hook.Close)
	b.Hook = hook.URL + "/webhooks/app"
	b.Sim.SetWebhook("DIRECT_MESSAGE", b.Hook)
	b.Conversation = b.Write("hello")
	b.Write("is anybody there?") // from the second on there is no quota
	return b
}

// Channel is the channel.
func Channel() *v1alpha1.TiktokChannel {
	return &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: UID},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: Shop},
	}
}

// SetToken writes the token Secret as the manager would.
func (b *Bench) SetToken(accessToken string) {
	b.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: Channel().TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: "main"}},
		Type:       v1alpha1.TokenSecretType,
		Data: map[string][]byte{
			"access_token": []byte(accessToken), "refresh_token": []byte("rft.x"), "business_id": []byte(Shop),
			"access_token_expires_at": []byte(b.Clock.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)),
		},
	}
	err := b.Cluster.Update(b.Context(), secret) // the manager replaces what a Secret holds: the Secret is never away
	if apierrors.IsNotFound(err) {
		err = b.Cluster.Create(b.Context(), secret)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// Write lets the user write.
func (b *Bench) Write(text string) (conversationID string) {
	b.Helper()
	d, err := b.Sim.SendEvent(b.Context(), simulator.Event{Business: Shop, Text: text})
	if err != nil || d.Status != http.StatusOK {
		b.Fatalf("the user's message: %v %+v", err, d)
	}
	return d.ConversationID
}

// Change of the parts of a sender.
type Change struct {
	Transport http.RoundTripper
	Log       outbound.Log
	States    outbound.States
	Refresher outbound.Refresher
	Policy    messaging.Policy
	Metrics   *outbound.Metrics
}

// Sender is one process.
func (b *Bench) Sender(c Change) *outbound.Sender {
	b.Helper()
	calling := tiktok.NewHTTPClient()
	if c.Transport != nil {
		calling.Transport = c.Transport
	}
	apps := appclient.New(appclient.Options{Reader: b.Cluster, HTTPClient: calling, Clock: b.Clock})
	sessions, err := business.New(business.Options{
		Reader: b.Cluster, Apps: apps, Tokens: tokenstore.New(tokenstore.Options{Client: b.Cluster}), Clock: b.Clock,
		Allowed: func(context.Context, *v1alpha1.TiktokApp, string) (bool, error) { return true, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	if c.States == nil {
		c.States = b.States
	}
	if c.Log == nil {
		c.Log = b.Log
	}
	if c.Refresher == nil {
		c.Refresher = &outbound.Annotator{Client: b.Cluster, Clock: b.Clock}
	}
	s, err := outbound.New(outbound.Options{
		Log: c.Log, States: c.States, Sessions: sessions, Apps: apps, Images: capability.New(sessions, apps, b.Clock), Refresher: c.Refresher,
		Policy: c.Policy, Clock: b.Clock, Metrics: c.Metrics,
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// Answer of a request.
type Answer struct {
	Sent *outbound.Sent
	Err  error
}

// Request is a request to send a text.
func (b *Bench) Request(key, text string) outbound.Request {
	return outbound.Request{
		Channel: Channel(), ConversationID: b.Conversation, IdempotencyKey: key, Message: messaging.Message{Text: text},
	}
}

// Start sends in the background.
func (b *Bench) Start(ctx context.Context, s *outbound.Sender, r outbound.Request) <-chan Answer {
	done := make(chan Answer, 1)
	go func() {
		sent, err := s.Send(ctx, r)
		done <- Answer{sent, err}
	}()
	return done
}

// Send sends, and lets the time pass for which that waits.
func (b *Bench) Send(s *outbound.Sender, r outbound.Request) (*outbound.Sent, error) {
	b.Helper()
	return b.Await(b.Start(b.Context(), s, r))
}

// Await lets the time pass until there is an answer.
func (b *Bench) Await(done <-chan Answer) (*outbound.Sent, error) {
	b.Helper()
	got := Passing(b, done)
	return got.Sent, got.Err
}

// Pass lets the time pass whenever somebody waits for it, until the context ends.
func (b *Bench) Pass(ctx context.Context) {
	for ctx.Err() == nil {
		if b.Clock.HasWaiters() {
			b.Clock.Step(100 * time.Millisecond)
		}
		(clock.RealClock{}).Sleep(5 * time.Millisecond)
	}
}

// Passing lets the time pass until something comes.
func Passing[T any](b *Bench, done <-chan T) (got T) {
	b.Helper()
	for deadline := (clock.RealClock{}).Now().Add(time.Minute); (clock.RealClock{}).Now().Before(deadline); {
		select {
		case got = <-done:
			return got
		case <-clock.RealClock{}.After(5 * time.Millisecond):
			if b.Clock.HasWaiters() {
				b.Clock.Step(100 * time.Millisecond)
			}
		}
	}
	b.Fatal("no answer within a minute")
	return got
}

// Arrived is how many messages of the business TikTok has in the conversation.
func (b *Bench) Arrived() int {
	for _, c := range b.Sim.Conversations(Shop) {
		if c.ID == b.Conversation {
			return c.SentSince
		}
	}
	return 0
}

// WantArrived checks how many messages of the business TikTok has.
func (b *Bench) WantArrived(n int) {
	b.Helper()
	if got := b.Arrived(); got != n {
		b.Errorf("TikTok has %d messages, want %d", got, n)
	}
}

// Eventually waits until something is so.
func (b *Bench) Eventually(what string, ok func() bool) {
	b.Helper()
	for deadline := (clock.RealClock{}).Now().Add(30 * time.Second); !ok(); (clock.RealClock{}).Sleep(5 * time.Millisecond) {
		if (clock.RealClock{}).Now().After(deadline) {
			b.Fatalf("not within half a minute: %s", what)
		}
	}
}

// Message is what is known of one, by its id or its send's; nil if nothing is.
func (b *Bench) Message(id string) *conversation.Message {
	b.Helper()
	state, _, err := b.States.State(b.Context(), Channel(), b.Conversation)
	if err != nil {
		b.Fatal(err)
	}
	return state.Message(id)
}

// WantStatus waits for a message's status.
func (b *Bench) WantStatus(id string, want cloudevent.Status) {
	b.Helper()
	b.Eventually("the status "+string(want), func() bool {
		m := b.Message(id)
		return m != nil && m.Status == want
	})
}

// Statuses are what the events told of a send, in their order.
func (b *Bench) Statuses(sendID string) (told []cloudevent.Status) {
	b.Helper()
	q := eventlog.Query{ChannelUID: UID, Limit: 1000, MaxBytes: 16 << 20}
	stored, _, err := b.Log.Events(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range stored {
		event, err := projection.Event(Channel(), e)
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

// syncing is as in production where speed is measured, and else seldom.
func syncing(t testing.TB) eventlog.Fsync {
	if _, measured := t.(*testing.B); measured {
		return eventlog.FsyncAlways
	}
	return eventlog.Fsync(time.Minute)
}
