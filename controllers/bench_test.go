package controllers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	refreshEndpoint = "tt_user/oauth2/refresh_token/"
	listEndpoint    = "business/webhook/list/"
)

// bench is one channel with a reconciler of its own, on a fake clock, against the real API server and a simulator over HTTP.
type bench struct {
	t       *testing.T
	clock   *clocktesting.FakeClock
	sim     *simulator.Simulator
	app     *v1alpha1.TiktokApp
	ch      *v1alpha1.TiktokChannel
	r       *TiktokChannelReconciler
	events  chan string
	writes  *writeCounter
	journal string
}

// writeCounter counts, and may fail, the writes to the API server.
type writeCounter struct {
	mu    sync.Mutex
	count int
	// fail is asked before each write of an object of a kind ("Secret", "TiktokChannel/status" …).
	fail func(kind string) error
}

func (w *writeCounter) write(kind string) error {
	w.mu.Lock()
	w.count++
	fail := w.fail
	w.mu.Unlock() // fail may block, or write itself
	if fail != nil {
		return fail(kind)
	}
	return nil
}

func (w *writeCounter) failWith(f func(kind string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *writeCounter) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.count
	w.count = 0
	return n
}

func kindOf(o client.Object) string {
	switch o.(type) {
	case *corev1.Secret:
		return "Secret"
	case *v1alpha1.TiktokChannel:
		return "TiktokChannel"
	case *v1alpha1.TiktokApp:
		return "TiktokApp"
	default:
		return "other"
	}
}

func (w *writeCounter) wrap(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := w.write(kindOf(o)); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := w.write(kindOf(o)); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.write(kindOf(o)); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.write(kindOf(o)); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.write(kindOf(o) + "/" + sub); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
}

// newBench makes a bench whose channel is not authorized yet.
func newBench(t *testing.T, change ...func(*v1alpha1.TiktokChannel)) *bench {
	t.Helper()
	b := &bench{t: t, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)), writes: &writeCounter{}}
	sim, url := serve(t, simulator.Options{Clock: b.clock})
	b.sim, b.journal = sim, t.TempDir()
	name := regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), "-")
	name = strings.Trim(name[:min(len(name), 50)], "-")
	b.app = newApp(t, name, url, "sim-secret")
	b.appValid(metav1.ConditionTrue)
	b.sim.ResetCalls()
	b.ch = newChannel(t, unmanaged, name, name, change...)
	b.r = b.manager("first")
	return b
}

// manager makes a reconciler as a manager of its own would have.
func (b *bench) manager(holder string) *TiktokChannelReconciler {
	b.t.Helper()
	c, err := client.NewWithWatch(restConfig, client.Options{Scheme: testScheme})
	if err != nil {
		b.t.Fatal(err)
	}
	counted := b.writes.wrap(c)
	j, err := journal.Open(b.journal)
	if err != nil {
		b.t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(100)
	b.events = recorder.Events
	return &TiktokChannelReconciler{
		Client: counted, Live: counted,
		// The store sleeps between tries: on the real clock, while all that is decided is decided on the fake one.
		Store:        tokenstore.New(tokenstore.Options{Client: counted, Holder: holder, Journal: j, Clock: sleepy{b.clock}}),
		Apps:         appclient.New(appclient.Options{Reader: counted, Clock: b.clock}),
		Reservations: reservation.New(reservation.Options{Client: counted, Namespace: operator}),
		Links:        &AuthorizationLinks{Client: c, Namespace: operator, Clock: b.clock},
		ResolveSink:  resolveNothing, Suspects: NewSuspectApps(), Recorder: recorder, Metrics: NewMetrics(prometheus.NewRegistry()),
		Clock: b.clock, Random: func() float64 { return 0 },
	}
}

// sleepy tells the fake time, and sleeps for real, but briefly.
type sleepy struct{ *clocktesting.FakeClock }

func (sleepy) Sleep(time.Duration) { time.Sleep(5 * time.Millisecond) }

func (sleepy) NewTimer(time.Duration) clock.Timer {
	return clock.RealClock{}.NewTimer(5 * time.Millisecond)
}

// appValid waits until the suite's manager has said of the app's credentials what is wanted.
func (b *bench) appValid(want metav1.ConditionStatus) {
	b.t.Helper()
	eventually(b.t, func() string {
		c := meta.FindStatusCondition(reload(b.t, b.app).Status.Conditions, v1alpha1.CredentialsValidCondition)
		if c == nil || c.Status != want {
			return fmt.Sprintf("CredentialsValid is %+v, want %s", c, want)
		}
		return ""
	})
}

// reconcile runs passes until the reconciler has nothing to do at once, and returns when it wants to come back.
func (b *bench) reconcile() time.Duration {
	b.t.Helper()
	return b.reconcileWith(b.r)
}

func (b *bench) reconcileWith(r *TiktokChannelReconciler) time.Duration {
	b.t.Helper()
	for range 20 {
		result, err := r.Reconcile(b.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.ch)})
		if err != nil {
			b.t.Fatalf("reconciling: %v", err)
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > time.Second {
			return result.RequeueAfter
		}
	}
	b.t.Fatal("does not settle")
	return 0
}

// authorize stores tokens as the webhook deployment does after a consent.
func (b *bench) authorize() simulator.Token {
	b.t.Helper()
	issued := b.sim.IssueToken(simulator.DefaultBusiness.OpenID)
	ch := reload(b.t, b.ch)
	if err := b.r.Reservations.Hold(b.t.Context(), issued.OpenID, ch); err != nil {
		b.t.Fatal(err)
	}
	store := tokenstore.New(tokenstore.Options{Client: k8s, Holder: "webhook"})
	epoch, err := store.Epoch(b.t.Context(), ch)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := store.Authorize(b.t.Context(), ch, asTokens(issued, b.clock.Now()), epoch); err != nil {
		b.t.Fatal(err)
	}
	return issued
}

func asTokens(issued simulator.Token, at time.Time) token.Tokens {
	at = at.UTC().Truncate(time.Second)
	return token.Tokens{
		AccessToken: secretOf(issued.AccessToken), RefreshToken: secretOf(issued.RefreshToken), BusinessID: issued.OpenID,
		Scopes: issued.Scopes, ObtainedAt: at, AccessTokenExpiresAt: at.Add(issued.ExpiresIn),
		RefreshTokenExpiresAt: at.Add(issued.RefreshTokenExpiresIn),
	}
}

// connected is a bench whose channel is authorized and Ready, with counters at zero.
func connected(t *testing.T, change ...func(*v1alpha1.TiktokChannel)) *bench {
	t.Helper()
	b := newBench(t, change...)
	b.reconcile()
	b.authorize()
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.sim.ResetCalls()
	b.writes.take()
	b.drain()
	return b
}

func (b *bench) want(condition string, status metav1.ConditionStatus, reason string) {
	b.t.Helper()
	ch := reload(b.t, b.ch)
	c := meta.FindStatusCondition(ch.Status.Conditions, condition)
	if c == nil || c.Status != status || (reason != "" && c.Reason != reason) {
		b.t.Fatalf("condition %s is %+v, want %s %s; all: %+v", condition, c, status, reason, ch.Status.Conditions)
	}
}

func (b *bench) absent(conditions ...string) {
	b.t.Helper()
	for _, condition := range conditions {
		if c := meta.FindStatusCondition(reload(b.t, b.ch).Status.Conditions, condition); c != nil {
			b.t.Fatalf("condition %s is present: %+v", condition, c)
		}
	}
}

func (b *bench) calls(endpoint string, want int) {
	b.t.Helper()
	if got := b.sim.CountCalls(endpoint); got != want {
		b.t.Fatalf("%d calls of %s, want %d", got, endpoint, want)
	}
}

func (b *bench) secret() *corev1.Secret {
	b.t.Helper()
	return reload(b.t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ch.Namespace, Name: b.ch.TokenSecretName()}})
}

// works says whether the refresh token in the Secret is the one that TikTok accepts: nothing was lost.
func (b *bench) works() {
	b.t.Helper()
	if !b.sim.RefreshTokenWorks(string(b.secret().Data[v1alpha1.RefreshTokenKey])) {
		b.t.Fatal("the stored refresh token is not the one that TikTok accepts: the authorization is lost")
	}
}

func (b *bench) drain() []string {
	var out []string
	for {
		select {
		case e := <-b.events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func (b *bench) annotate(key, value string) {
	b.t.Helper()
	ch := reload(b.t, b.ch)
	base := ch.DeepCopy()
	metav1.SetMetaDataAnnotation(&ch.ObjectMeta, key, value)
	if err := k8s.Patch(b.t.Context(), ch, client.MergeFrom(base)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) edit(change func(*v1alpha1.TiktokChannel)) {
	b.t.Helper()
	ch := reload(b.t, b.ch)
	change(ch)
	if err := k8s.Update(b.t.Context(), ch); err != nil {
		b.t.Fatal(err)
	}
}

var errAway = errors.New("connection refused")

// reconcileOnce is one pass, whatever comes of it.
func (r *TiktokChannelReconciler) reconcileOnce(t *testing.T, b *bench) (ctrl.Result, error) {
	t.Helper()
	return r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.ch)})
}

func (b *bench) editApp(change func(*v1alpha1.TiktokApp)) {
	b.t.Helper()
	eventually(b.t, func() string { // the suite's manager writes to it too
		app := reload(b.t, b.app)
		change(app)
		if err := k8s.Update(b.t.Context(), app); err != nil {
			return err.Error()
		}
		return ""
	})
}

func conflict(kind, name string) error {
	return apierrors.NewConflict(corev1.Resource(kind), name, errors.New("injected"))
}
