package faults

import (
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const refreshEndpoint = "tt_user/oauth2/refresh_token/"

var stages atomic.Int32

// stage is one test's own TikTok, app and namespaces. Its managers serve these alone, so that tests run side by side on one control plane.
type stage struct {
	t         *testing.T
	namespace string // of the channels
	operator  string // of the operator
	sim       *simulator.Simulator
	server    *httptest.Server
	app       *v1alpha1.TiktokApp
	// answering, if set, is called when TikTok has processed a refresh and before it answers.
	answering atomic.Pointer[func()]
	managers  []*manager
}

func newStage(t *testing.T, change ...func(*v1alpha1.TiktokApp)) *stage {
	t.Helper()
	if err := lookAtSources(); err != nil {
		t.Fatal(err)
	}
	n := stages.Add(1)
	s := &stage{t: t, namespace: fmt.Sprintf("faults-%d", n), operator: fmt.Sprintf("faults-%d-operator", n)}
	s.sim = simulator.New(simulator.Options{
		AppID: fmt.Sprintf("sim-app-%d", n), AutoConsent: true, AfterProcess: func(endpoint string) {
			if f := s.answering.Load(); endpoint == refreshEndpoint && f != nil {
				(*f)()
			}
		},
	})
	s.server = httptest.NewUnstartedServer(s.sim)
	t.Cleanup(func() { s.sim.Close(); s.server.Close() })
	for _, ns := range []string{s.namespace, s.operator} {
		s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	s.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.operator, Name: "app"}, StringData: map[string]string{v1alpha1.DefaultAppSecretKey: "sim-secret"},
	})
	s.app = &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: fmt.Sprintf("sim-app-%d", n), PublicURL: "http://127.0.0.1:8080",
			SecretRef: v1alpha1.AppSecretReference{Namespace: s.operator, Name: "app"},
			RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
		},
	}
	for _, f := range change {
		f(s.app)
	}
	return s
}

// open puts TikTok on the network and creates the app.
func (s *stage) open() *stage {
	s.t.Helper()
	s.server.Start()
	s.app.Spec.Endpoints = &v1alpha1.AppEndpoints{
		API: s.server.URL + "/open_api/v1.3/", Authorize: s.server.URL + "/v2/auth/authorize",
	}
	s.create(s.app)
	return s
}

func (s *stage) create(object client.Object) {
	s.t.Helper()
	if err := k8s.Create(s.t.Context(), object); err != nil {
		s.t.Fatalf("creating %T: %v", object, err)
	}
}

// whenAnswering sets what happens, once, when TikTok has processed the next refresh and not yet answered. The channel that comes back is
// closed when it has happened.
func (s *stage) whenAnswering(f func()) <-chan struct{} {
	happened := make(chan struct{})
	var fired atomic.Bool
	once := func() {
		if fired.CompareAndSwap(false, true) {
			defer close(happened)
			f()
		}
	}
	s.answering.Store(&once)
	return happened
}

// channel creates a channel that is authorized, with tokens whose refresh is due at a time.
func (s *stage) channel(business int, due time.Time) *v1alpha1.TiktokChannel {
	s.t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: fmt.Sprintf("shop-%d", business)},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: s.app.Name}},
	}
	s.create(ch)
	s.authorize(ch, due)
	return ch
}

// authorize does what the OAuth callback does: it stores the tokens of a new authorization. They look as if they were issued so long ago
// that they are due then.
func (s *stage) authorize(ch *v1alpha1.TiktokChannel, due time.Time) token.Tokens {
	s.t.Helper()
	var business int
	if _, err := fmt.Sscanf(ch.Name, "shop-%d", &business); err != nil {
		s.t.Fatal(err)
	}
	issued := s.sim.IssueToken(fmt.Sprintf("biz-%04d", business))
	at := due.UTC().Truncate(time.Second)
	t := token.Tokens{
		AccessToken: tiktok.Secret(issued.AccessToken), RefreshToken: tiktok.Secret(issued.RefreshToken), BusinessID: issued.OpenID,
		Scopes: issued.Scopes, ObtainedAt: at, AccessTokenExpiresAt: at.Add(issued.ExpiresIn),
		RefreshTokenExpiresAt: at.Add(issued.RefreshTokenExpiresIn),
	}
	early := token.RefreshAt(t, 0, string(ch.UID)).Sub(at)
	t.ObtainedAt, t.AccessTokenExpiresAt = t.ObtainedAt.Add(-early), t.AccessTokenExpiresAt.Add(-early)
	if err := reservation.New(reservation.Options{Client: k8s, Namespace: s.operator}).Hold(s.t.Context(), issued.OpenID, ch); err != nil {
		s.t.Fatal(err)
	}
	store := tokenstore.New(tokenstore.Options{Client: k8s, Holder: "webhook"})
	epoch, err := store.Epoch(s.t.Context(), ch)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := store.Authorize(s.t.Context(), ch, t, epoch); err != nil {
		s.t.Fatal(err)
	}
	return t
}

// later is a time at which nothing is due while a test runs.
func later() time.Time { return time.Now().Add(6 * time.Hour) }

// request asks for a refresh, as a person does.
func (s *stage) request(ch *v1alpha1.TiktokChannel, value string) {
	s.t.Helper()
	if err := s.tryRequest(ch, value); err != nil {
		s.t.Fatal(err)
	}
}

// requestUntil asks for a refresh where that makes the API server go or hang, perhaps before it has answered: the manager is fast.
func (s *stage) requestUntil(happened <-chan struct{}, ch *v1alpha1.TiktokChannel, value string) {
	s.t.Helper()
	asked := make(chan error, 1)
	go func() { asked <- s.tryRequest(ch, value) }()
	s.t.Cleanup(func() { <-asked })
	select {
	case <-happened:
	case <-time.After(time.Minute):
		s.t.Fatal("a refresh that was asked for is not made")
	}
}

func (s *stage) tryRequest(ch *v1alpha1.TiktokChannel, value string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RefreshRequestedAtAnnotation, value)
	if err := k8s.Patch(s.t.Context(), ch.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("asking for a refresh: %w", err)
	}
	return nil
}

func condition(ch *v1alpha1.TiktokChannel, name string) metav1.Condition {
	if c := meta.FindStatusCondition(ch.Status.Conditions, name); c != nil {
		return *c
	}
	return metav1.Condition{Type: name, Status: "absent"}
}
