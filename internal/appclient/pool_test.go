package appclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	current  = tiktok.Secret("SECRET-current")
	previous = tiktok.Secret("SECRET-previous")
)

func newApp(change ...func(*v1alpha1.TiktokApp)) *v1alpha1.TiktokApp {
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "id", SecretRef: v1alpha1.AppSecretReference{Namespace: "platform", Name: "app-secret"},
		},
	}
	for _, f := range change {
		f(app)
	}
	return app
}

func appSecret(data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "app-secret"}, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an error tells a secret: %v", err)
	}
}

// TestCredentials: what a Secret's content makes of an app's credentials; people end a file with a newline.
func TestCredentials(t *testing.T) {
	for name, tc := range map[string]struct {
		data map[string]string
		key  string
		want []tiktok.Secret // none: the key is missing
	}{
		"plain":                {data: map[string]string{"app_secret": "SECRET-current"}, want: []tiktok.Secret{current}},
		"a newline at the end": {data: map[string]string{"app_secret": "SECRET-current\n"}, want: []tiktok.Secret{current}},
		"a file from Windows":  {data: map[string]string{"app_secret": " SECRET-current\r\n"}, want: []tiktok.Secret{current}},
		"during a rotation": {
			data: map[string]string{"app_secret": "SECRET-current", "app_secret_previous": "SECRET-previous\n"}, want: []tiktok.Secret{current, previous},
		},
		"an empty previous one": {data: map[string]string{"app_secret": "SECRET-current", "app_secret_previous": " \n"}, want: []tiktok.Secret{current}},
		"another key": {
			key: "other", data: map[string]string{"other": "SECRET-current", "app_secret": "SECRET-wrong"}, want: []tiktok.Secret{current},
		},
		"another key, missing":     {key: "other", data: map[string]string{"app_secret": "SECRET-wrong"}},
		"no key":                   {data: map[string]string{"APP_SECRET": "SECRET-wrong"}},
		"empty":                    {data: map[string]string{"app_secret": ""}},
		"white":                    {data: map[string]string{"app_secret": " \r\n\t"}},
		"the previous one alone":   {data: map[string]string{"app_secret_previous": "SECRET-previous"}},
		"empty, with previous one": {data: map[string]string{"app_secret": "", "app_secret_previous": "SECRET-previous"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := newApp(func(a *v1alpha1.TiktokApp) { a.Spec.SecretRef.Key = tc.key })
			pool := appclient.New(appclient.Options{Reader: fake.NewFakeClient(appSecret(tc.data))})
			got, err := pool.Credentials(t.Context(), app)
			noSecret(t, err)
			var missing *appclient.MissingError
			if tc.want == nil {
				if !errors.As(err, &missing) || !missing.SecretExists || !strings.Contains(err.Error(), `"`+app.SecretKey()+`"`) {
					t.Errorf("%v", err)
				}
				_, err := pool.Client(t.Context(), app)
				if !errors.As(err, &missing) {
					t.Errorf("a client without a secret: %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(got.Secrets(), tc.want) || got.Current != current {
				t.Errorf("%d secrets, error %v", len(got.Secrets()), err)
			}
		})
	}
}

// TestCredentialsCannotBeRead: a missing Secret is the user's matter, an API server that is away is not.
func TestCredentialsCannotBeRead(t *testing.T) {
	var missing *appclient.MissingError
	_, err := appclient.New(appclient.Options{Reader: fake.NewFakeClient()}).Credentials(t.Context(), newApp())
	if !errors.As(err, &missing) || missing.SecretExists || !strings.Contains(err.Error(), "platform/app-secret") {
		t.Errorf("without a Secret: %v", err)
	}
	forbidden := apierrors.NewForbidden(corev1.Resource("secrets"), "app-secret", errors.New("no Role"))
	_, err = appclient.New(appclient.Options{Reader: reader(func() error { return forbidden })}).Credentials(t.Context(), newApp())
	if !errors.As(err, &missing) || !missing.Forbidden || !strings.Contains(err.Error(), "may not read the Secret platform/app-secret") {
		t.Errorf("without a Role: %v", err)
	}
	away := errors.New("away")
	_, err = appclient.New(appclient.Options{Reader: reader(func() error { return away })}).Credentials(t.Context(), newApp())
	if !errors.Is(err, away) || errors.As(err, &missing) {
		t.Errorf("without an API server: %v", err)
	}
}

// reader reads one Secret; before each read it asks what to answer instead.
func reader(before func() error) client.Reader {
	return interceptor.NewClient(fake.NewFakeClient(appSecret(map[string]string{"app_secret": "SECRET-current"})), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := before(); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
}

// TestCache: credentials are read again when their time is over, when they are to be forgotten, and when the app names another Secret.
func TestCache(t *testing.T) {
	reads := 0
	clock := clocktesting.NewFakeClock(time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC))
	pool := appclient.New(appclient.Options{
		Reader: reader(func() error { reads++; return nil }), Clock: clock, CacheFor: time.Minute,
	})
	app := newApp()
	for _, step := range []struct {
		what   string
		change func()
		want   int
		fails  bool
	}{
		{"the first time", func() {}, 1, false},
		{"at once", func() {}, 1, false},
		{"within the minute", func() { clock.Step(time.Minute - 1) }, 1, false},
		{"after the minute", func() { clock.Step(1) }, 2, false},
		{"of another app", func() { app = newApp(func(a *v1alpha1.TiktokApp) { a.Name = "other" }) }, 3, false},
		{"of the first app again", func() { app = newApp() }, 3, false},
		{"when forgotten", func() { pool.Forget("app") }, 4, false},
		{"under another key", func() { app.Spec.SecretRef.Key = "other" }, 5, true},
		{"of what was missing", func() {}, 6, true},
	} {
		step.change()
		if _, err := pool.Credentials(t.Context(), app); (err != nil) != step.fails || reads != step.want {
			t.Errorf("%s: %d reads, want %d; error %v", step.what, reads, step.want, err)
		}
	}
	uncached := appclient.New(appclient.Options{Reader: reader(func() error { reads++; return nil })})
	reads = 0
	for range 3 {
		if _, err := uncached.Credentials(t.Context(), newApp()); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 3 {
		t.Errorf("without a cache: %d reads", reads)
	}
}

// TestOneLimiter: all clients of an app id share its limiter, whichever TiktokApp they are made for: when TikTok throttles one, all wait.
func TestOneLimiter(t *testing.T) {
	var calls atomic.Int32
	endpoints := &v1alpha1.AppEndpoints{API: tiktokServer(t, &calls)}
	pool := appclient.New(appclient.Options{Reader: reader(func() error { return nil })})
	named := func(name, id string) *v1alpha1.TiktokApp {
		return newApp(func(a *v1alpha1.TiktokApp) { a.Name, a.Spec.AppID, a.Spec.Endpoints = name, id, endpoints })
	}
	var clients []*tiktok.Client
	for _, app := range []*v1alpha1.TiktokApp{named("app", "id"), named("app", "id"), named("twin", "id"), named("other", "another id")} {
		c, err := pool.Client(t.Context(), app)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	pool.Limiter(named("app", "id")).Pause(time.Now().Add(time.Hour))
	for _, c := range clients[:3] {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := c.RefreshToken(ctx, "SECRET-token")
		cancel()
		if err == nil || calls.Load() != 0 {
			t.Errorf("%d calls of a paused app id: %v", calls.Load(), err)
		}
	}
	if _, err := clients[3].RefreshToken(t.Context(), "SECRET-token"); calls.Load() != 1 {
		t.Errorf("the pause holds for another app id: %v", err)
	}
}

// tiktokServer counts calls, and answers none of them well: it repeats what it was sent, the app's secret among it.
func tiktokServer(t *testing.T, calls *atomic.Int32) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/open_api/v1.3/"
}

// TestEndpoints: a change of the app's endpoints, or of its secret, is followed by the next client; one that is no address makes none.
func TestEndpoints(t *testing.T) {
	var before, after atomic.Int32
	var observed []string
	pool := appclient.New(appclient.Options{
		Reader:  reader(func() error { return nil }),
		Observe: func(app string, _ tiktok.Observation) { observed = append(observed, app) },
	})
	app := newApp(func(a *v1alpha1.TiktokApp) { a.Spec.Endpoints = &v1alpha1.AppEndpoints{API: tiktokServer(t, &before)} })
	call := func() {
		t.Helper()
		c, err := pool.Client(t.Context(), app)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.RefreshToken(t.Context(), "SECRET-token")
		if err == nil {
			t.Error("TikTok refused")
		}
		noSecret(t, err)
	}
	call()
	app.Spec.Endpoints = &v1alpha1.AppEndpoints{API: tiktokServer(t, &after)}
	call()
	if before.Load() != 1 || after.Load() != 1 || !slices.Equal(observed, []string{"app", "app"}) {
		t.Errorf("%d and %d calls, observed of %v", before.Load(), after.Load(), observed)
	}
	for _, bad := range []string{"tiktok", "ftp://host/", "https://", "https://user:SECRET-password@host/", "://", "https://host/?%zz", "http://[::1"} {
		for name, endpoints := range map[string]v1alpha1.AppEndpoints{"API": {API: bad}, "authorize": {Authorize: bad}} {
			app.Spec.Endpoints = &endpoints
			c, err := pool.Client(t.Context(), app)
			if c != nil || err == nil || !strings.Contains(err.Error(), "TiktokApp app") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s endpoint %q: %v", name, bad, err)
			}
			noSecret(t, err)
		}
	}
}
