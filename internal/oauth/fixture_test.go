package oauth_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	operatorNamespace = "operator"
	appSecret         = "sim-app-secret-value"
)

var scopes = []string{"user.info.basic", "message.list.read", "message.list.send", "message.list.manage"}

// passive is a clock whose time stands until it is set, and whose timers are real: what waits in the handler waits a short while.
type passive struct {
	*clocktesting.FakePassiveClock
	realTimers
}

// fixture is an operator, its cluster and TikTok.
type fixture struct {
	t      testing.TB
	client client.Client
	hooks  *hooks
	sim    *simulator.Simulator
	server *httptest.Server
	oauth  *oauth.Handler
	clock  *passive
	keys   tickets.Keys
	app    *v1alpha1.TiktokApp
	apps   *appclient.Pool
	opts   oauth.Options

	mu      sync.Mutex
	log     strings.Builder
	events  []string
	results []oauth.Result
	secrets map[string]string // what must not appear in logs and events, by what it is
}

// hooks lets a test fail, or watch, what the API server is asked. A nil hook does nothing.
type hooks struct {
	mu    sync.Mutex
	get   func(key client.ObjectKey, o client.Object) error
	write func(o client.Object) error
	reads int
}

func (h *hooks) set(change func(*hooks)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func (h *hooks) onGet(key client.ObjectKey, o client.Object) error {
	h.mu.Lock()
	h.reads++
	get := h.get
	h.mu.Unlock()
	if get == nil {
		return nil
	}
	return get(key, o)
}

func (h *hooks) onWrite(o client.Object) error {
	h.mu.Lock()
	write := h.write
	h.mu.Unlock()
	if write == nil {
		return nil
	}
	return write(o)
}

func (h *hooks) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := h.onGet(key, o); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := h.onWrite(o); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := h.onWrite(o); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
	}
}

type settings struct {
	// plain serves with http instead of https.
	plain bool
	// prefix is the path of the app's publicURL; strip takes it off before the handler, as some ingresses do.
	prefix string
	strip  bool
	// change the options.
	change func(*oauth.Options)
	sim    simulator.Options
	// tiktok is what TikTok is called with.
	tiktok *http.Client
}

func newFixture(t testing.TB, s settings) *fixture {
	t.Helper()
	f := &fixture{t: t, hooks: &hooks{}, secrets: map[string]string{appSecret: "app secret"}}
	f.clock = &passive{FakePassiveClock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	f.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(f.hooks.funcs()).Build()
	keys, err := tickets.Ensure(t.Context(), f.client, types.NamespacedName{Namespace: operatorNamespace, Name: tickets.SecretName}, f.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.keys = keys

	s.sim.AppID, s.sim.AppSecret, s.sim.AutoConsent = "sim-app", appSecret, true
	f.sim = simulator.New(s.sim)
	t.Cleanup(f.sim.Close)
	simServer := httptest.NewServer(f.sim)
	t.Cleanup(simServer.Close)

	f.serve(s)
	f.app = &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: "main"},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "sim-app", PublicURL: f.server.URL + s.prefix, Scopes: scopes,
			SecretRef: v1alpha1.AppSecretReference{Namespace: "platform", Name: "app", Key: "app_secret"},
			RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
			Endpoints: &v1alpha1.AppEndpoints{API: simServer.URL + "/open_api/v1.3/", Authorize: simServer.URL + "/v2/auth/authorize"},
		},
	}
	f.create(f.app, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "app"}, Data: map[string][]byte{"app_secret": []byte(appSecret)},
	})
	t.Cleanup(f.scan)
	return f
}

func (f *fixture) serve(s settings) {
	f.apps = appclient.New(appclient.Options{Reader: f.client, HTTPClient: s.tiktok})
	f.opts = oauth.Options{
		Reader: f.client, Namespace: operatorNamespace, Apps: f.apps,
		Allowed: func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
			return appclient.NamespaceAllowed(ctx, f.client, app, namespace)
		},
		Tokens:       tokenstore.New(tokenstore.Options{Client: f.client, Holder: "test", Log: f.logger()}),
		Reservations: reservation.New(reservation.Options{Client: f.client, Namespace: operatorNamespace}),
		Uses:         oauth.NewMemoryUses(f.clock), Recorder: recorder{f}, Clock: f.clock, Log: f.logger(),
		AnswerWithin: 20 * time.Second,
		Observe: func(r oauth.Result) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.results = append(f.results, r)
		},
	}
	if s.change != nil {
		s.change(&f.opts)
	}
	handler, err := oauth.New(f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.oauth = handler
	var served http.Handler = handler
	if s.strip {
		served = http.StripPrefix(s.prefix, handler)
	}
	if s.plain {
		f.server = httptest.NewServer(served)
	} else {
		f.server = httptest.NewTLSServer(served)
	}
	f.t.Cleanup(f.server.Close)
}

func (f *fixture) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.log.WriteString(prefix + " " + args + "\n")
	}, funcr.Options{Verbosity: 127})
}

// recorder keeps events.
type recorder struct{ f *fixture }

func (r recorder) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	ch := regarding.(*v1alpha1.TiktokChannel)
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.f.events = append(r.f.events, fmt.Sprintf("%s/%s %s %s %s %s", ch.Namespace, ch.Name, kind, reason, action, fmt.Sprintf(note, args...)))
}

func (f *fixture) allEvents() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.events, "\n")
}

func (f *fixture) allLogs() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

// secret notes what must not appear anywhere.
func (f *fixture) secret(what, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(value) > 8 {
		f.secrets[value] = what
	}
}

// scan looks for codes, tokens, states, links, cookies and keys in everything that was logged or said in events.
func (f *fixture) scan() {
	f.hooks.set(func(h *hooks) { h.get, h.write = nil, nil })
	var all corev1.SecretList
	if err := f.client.List(context.Background(), &all); err != nil {
		f.t.Error(err)
	}
	for _, s := range all.Items {
		for key, value := range s.Data {
			if key != v1alpha1.BusinessIDKey && key != v1alpha1.ScopeKey && !strings.HasSuffix(key, "_at") {
				f.secret(s.Name+"/"+key, string(value))
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	said := f.log.String() + strings.Join(f.events, "\n")
	for value, what := range f.secrets {
		for _, form := range []string{value, url.QueryEscape(value)} {
			if strings.Contains(said, form) {
				f.t.Errorf("a %s shows in a log or an event", what)
			}
		}
	}
	if strings.Contains(said, "eyJ") {
		f.t.Error("a ticket shows in a log or an event")
	}
}

func (f *fixture) create(objects ...client.Object) {
	f.t.Helper()
	for _, o := range objects {
		if err := f.client.Create(context.Background(), o); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) update(o client.Object) {
	f.t.Helper()
	if err := f.client.Update(context.Background(), o); err != nil {
		f.t.Fatal(err)
	}
}

// channel makes a channel.
func (f *fixture) channel(namespace, name string, changes ...func(*v1alpha1.TiktokChannel)) *v1alpha1.TiktokChannel {
	f.t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + namespace + "-" + name), Finalizers: []string{"test/keep"}},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "main"}},
	}
	for _, change := range changes {
		change(ch)
	}
	f.create(ch)
	return ch
}

// link is what the manager would put into the channel's status.
func (f *fixture) link(ch *v1alpha1.TiktokChannel, epoch int64) string {
	f.t.Helper()
	return f.linkFor(tickets.Link{Namespace: ch.Namespace, Name: ch.Name, UID: string(ch.UID), Epoch: epoch})
}

func (f *fixture) linkFor(l tickets.Link) string {
	f.t.Helper()
	signed, err := f.keys.SignLink(l, f.clock.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	f.secret("link", signed)
	return f.app.AuthorizationStartURL() + "?link=" + url.QueryEscape(signed)
}

// browser is a person's: it keeps cookies and follows redirects.
func (f *fixture) browser() *http.Client {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return &http.Client{Transport: f.server.Client().Transport, Jar: jar}
}

// page is what the person sees in the end.
type page struct {
	status int
	result oauth.Result
	body   string // with entities resolved
	header http.Header
	url    *url.URL
	err    error
}

var resultMeta = regexp.MustCompile(`<meta name="tiktok-operator:result" content="([a-z_]+)">`)

func (f *fixture) open(browser *http.Client, address string) page {
	f.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.do(browser, req)
}

func (f *fixture) do(browser *http.Client, req *http.Request) page {
	f.t.Helper()
	resp, err := browser.Do(req)
	if err != nil {
		return page{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	p := page{status: resp.StatusCode, header: resp.Header, url: resp.Request.URL, err: err, body: html.UnescapeString(string(body))}
	if m := resultMeta.FindStringSubmatch(string(body)); m != nil {
		p.result = oauth.Result(m[1])
	}
	return p
}

// begin goes as far as TikTok's redirect to the callback and returns its address.
func (f *fixture) begin(browser *http.Client, link string) string {
	f.t.Helper()
	stopping := *browser
	stopping.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/oauth/callback/") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := stopping.Get(link)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	callback, err := resp.Location()
	if err != nil {
		body, _ := io.ReadAll(resp.Body)
		f.t.Fatalf("TikTok did not redirect: %s\n%s", resp.Status, body)
	}
	f.secret("code", callback.Query().Get("code"))
	f.secret("state", callback.Query().Get("state"))
	return callback.String()
}

// tokens is the channel's token Secret, nil if there is none.
func (f *fixture) tokens(ch *v1alpha1.TiktokChannel) *corev1.Secret {
	f.t.Helper()
	secret := &corev1.Secret{}
	err := f.client.Get(context.Background(), ch.TokenSecretKey(), secret)
	if client.IgnoreNotFound(err) != nil {
		f.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return secret
}

// holder is the channel that holds a business, "" if none does.
func (f *fixture) holder(business string) string {
	f.t.Helper()
	key, _, held, err := f.opts.Reservations.Holder(context.Background(), business)
	if err != nil {
		f.t.Fatal(err)
	}
	if !held {
		return ""
	}
	return key.String()
}

// expect checks a page, and that it fits to be shown.
func (f *fixture) expect(p page, want oauth.Result, contains ...string) {
	f.t.Helper()
	if p.err != nil {
		f.t.Fatal(p.err)
	}
	if p.result != want || p.status != want.Status() {
		f.t.Fatalf("got %s (%d), want %s (%d)\n%s\n%s", p.result, p.status, want, want.Status(), p.body, f.allLogs())
	}
	for _, text := range contains {
		if !strings.Contains(p.body, text) {
			f.t.Errorf("the page does not say %q:\n%s", text, p.body)
		}
	}
	checkPage(f.t, p)
}

func newRequest(t testing.TB, method, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
