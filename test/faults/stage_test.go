package faults

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
	"github.com/tiktok-operator/tiktok-operator/test/program"
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
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RefreshRequestedAtAnnotation, value)
	object := ch.DeepCopy()
	if err := k8s.Patch(s.t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.t.Fatalf("asking for a refresh: %v", err)
	}
}

// manager is one process of cmd/manager with its own way to the API server, and its pod's own journal.
type manager struct {
	*program.Process
	stage   *stage
	proxy   *proxy
	journal string
	log     string
	args    []string
}

// manager starts a manager and waits until it is ready.
func (s *stage) manager(flags ...string) *manager {
	s.t.Helper()
	m := s.newManager(flags...)
	m.start()
	m.ready()
	return m
}

func (s *stage) newManager(flags ...string) *manager {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), fmt.Sprintf("pod-%d", len(s.managers)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	m := &manager{stage: s, proxy: newProxy(s.t, cluster.address), journal: filepath.Join(dir, "journal"), log: filepath.Join(dir, "log")}
	m.args = append([]string{
		"--kubeconfig=" + s.kubeconfig(dir, "https://"+m.proxy.address()), "--namespace=" + s.operator, "--watch-namespaces=" + s.namespace,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--journal-dir=" + m.journal, "--leader-elect=false",
	}, flags...)
	s.managers = append(s.managers, m)
	s.t.Cleanup(func() {
		if m.Process != nil {
			m.Kill()
		}
		if s.t.Failed() {
			text, _ := os.ReadFile(m.log)
			s.t.Logf("the log of %s ends:\n%s", filepath.Base(dir), tail(string(text), 6000))
		}
	})
	return m
}

func (s *stage) kubeconfig(dir, server string) string {
	s.t.Helper()
	path := filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],
"users":[{"name":"c","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}`, server, clusterToken)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// start starts the process, or a new one in the same pod after the last has ended: on its journal, like a restarted container.
func (m *manager) start() {
	m.stage.t.Helper()
	p, err := program.Start(filepath.Join(binaries, "manager"), m.log, m.args...)
	if err != nil {
		m.stage.t.Fatal(err)
	}
	m.Process = p
}

// ready waits until the manager works: it serves channels, or stands by.
func (m *manager) ready() {
	m.stage.t.Helper()
	m.stage.eventually("a manager to start", func() string {
		if m.says("Starting workers") || m.says("attempting to acquire leader lease") || m.says("Attempting to acquire leader lease") {
			return ""
		}
		return "no workers yet"
	})
}

// says tells whether a text is in the log of the pod's processes.
func (m *manager) says(text string) bool {
	log, err := os.ReadFile(m.log)
	if err != nil {
		m.stage.t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}

// tells waits until a text is in the log.
func (m *manager) tells(text string) {
	m.stage.t.Helper()
	m.stage.eventually("the manager to log", func() string {
		if m.says(text) {
			return ""
		}
		return text
	})
}

// entries are the files in the journal, whatever they are.
func (m *manager) entries() []string {
	files, err := os.ReadDir(m.journal)
	if err != nil {
		return nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name()
	}
	return names
}

// answered waits until the journal holds an answer of TikTok.
func (m *manager) answered() {
	m.stage.t.Helper()
	m.stage.eventually("TikTok's answer in the journal", func() string {
		for _, name := range m.entries() {
			if text, err := os.ReadFile(filepath.Join(m.journal, name)); err == nil && strings.Contains(string(text), `"refreshToken":`) {
				return ""
			}
		}
		return fmt.Sprintf("it holds %v", m.entries())
	})
}

// ended waits for the process to end.
func (m *manager) ended(limit time.Duration) {
	m.stage.t.Helper()
	select {
	case <-m.Done():
	case <-time.After(limit):
		m.stage.t.Fatalf("the manager still runs after %s", limit)
	}
}

// running fails if the process has ended.
func (m *manager) running() {
	m.stage.t.Helper()
	select {
	case <-m.Done():
		m.stage.t.Fatal("the manager has ended")
	default:
	}
}

func condition(ch *v1alpha1.TiktokChannel, name string) metav1.Condition {
	if c := meta.FindStatusCondition(ch.Status.Conditions, name); c != nil {
		return *c
	}
	return metav1.Condition{Type: name, Status: "absent"}
}
