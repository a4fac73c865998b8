package controllers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

func (b *appBench) newApp(name string, change ...func(*v1alpha1.TiktokApp)) *v1alpha1.TiktokApp {
	b.t.Helper()
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: b.name, PublicURL: "https://tiktok.example.com",
			SecretRef: v1alpha1.AppSecretReference{Namespace: operator, Name: b.name},
			Endpoints: &v1alpha1.AppEndpoints{API: b.url + "/open_api/v1.3/", Authorize: b.url + "/v2/auth/authorize"},
			RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
		},
	}
	for _, f := range change {
		f(app)
	}
	b.create(app)
	return app
}

func (b *appBench) newChannel(name string) *v1alpha1.TiktokChannel {
	b.t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: name},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: b.app.Name}},
	}
	b.create(ch)
	return ch
}

func (b *appBench) create(o client.Object) {
	b.t.Helper()
	if err := b.k8s.Create(b.t.Context(), o); err != nil {
		b.t.Fatalf("creating %T: %v", o, err)
	}
	b.t.Cleanup(func() {
		ctx := context.WithoutCancel(b.t.Context())
		_ = b.k8s.Delete(ctx, o)
		_ = b.k8s.Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	})
}

// connect creates a channel with tokens that TikTok issued just now.
func (b *appBench) connect(name, business string) *v1alpha1.TiktokChannel {
	b.t.Helper()
	b.sim.AddBusiness(simulator.Business{OpenID: business, Username: business})
	ch := b.newChannel(name)
	b.passOf(ch)
	store := tokenstore.New(tokenstore.Options{Client: b.k8s, Holder: "webhook"})
	b.load(ch)
	epoch, err := store.Epoch(b.t.Context(), ch)
	if err == nil {
		err = store.Authorize(b.t.Context(), ch, asTokens(b.sim.IssueToken(business), b.clock.Now()), epoch)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		remove(b.t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: ch.TokenSecretName()}})
	})
	b.passOf(ch)
	b.wantOf(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	return ch
}

func (b *appBench) edit(change func(*v1alpha1.TiktokApp)) {
	b.t.Helper()
	b.load(b.app)
	change(b.app)
	if err := b.k8s.Update(b.t.Context(), b.app); err != nil {
		b.t.Fatal(err)
	}
}

// put gives the app's Secret these keys and no others; nil deletes it.
func (b *appBench) put(data map[string]string) {
	b.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: b.name}}
	if err := b.k8s.Delete(b.t.Context(), s); client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	}
	if data == nil {
		return
	}
	s = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: b.name}, StringData: data}
	if err := b.k8s.Create(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
}

// remove deletes an object, as a person would.
func (b *appBench) remove(o client.Object) {
	b.t.Helper()
	if err := b.k8s.Delete(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
}

// network is the way to TikTok, on which things go wrong that the simulator does not know.
type network struct {
	// silent: no answer comes.
	silent bool
	// unapproved is an event type that TikTok does not let the app have.
	unapproved string
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case n.silent:
		return nil, errors.New("net/http: timeout awaiting response headers")
	case n.unapproved != "" && req.URL.Query().Get("event_type") == n.unapproved:
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{}, Request: req,
			Body: io.NopCloser(strings.NewReader(`{"code":40001,"message":"No permission.","request_id":"1"}`)),
		}, nil
	}
	return http.DefaultTransport.RoundTrip(req)
}

func (n *network) client() *http.Client {
	c := tiktok.NewHTTPClient()
	c.Transport = n
	return c
}
