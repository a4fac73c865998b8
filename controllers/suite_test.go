package controllers

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// The suite runs on a real kube-apiserver and etcd (KUBEBUILDER_ASSETS; `make test` sets it). One manager with the real clock serves the
// tests that wait for conditions; tests of time run their own reconciler on a fake clock, in namespaces that the manager does not watch.
var (
	restConfig *rest.Config
	testScheme = runtime.NewScheme()
	k8s        client.Client
)

const (
	managed   = "managed"   // the manager's namespace
	unmanaged = "unmanaged" // tests drive their own reconcilers here
	operator  = "operator"  // the operator's own namespace
)

func TestMain(m *testing.M) {
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controllers suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (int, error) {
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err != nil {
		return 1, fmt.Errorf("starting the control plane (make test sets KUBEBUILDER_ASSETS): %w", err)
	}
	defer env.Stop()
	cfg.QPS, cfg.Burst = 1000, 1000
	restConfig = cfg
	if err := clientgoscheme.AddToScheme(testScheme); err != nil {
		return 1, err
	}
	if err := v1alpha1.AddToScheme(testScheme); err != nil {
		return 1, err
	}
	if k8s, err = client.New(cfg, client.Options{Scheme: testScheme}); err != nil {
		return 1, err
	}
	for _, name := range []string{managed, unmanaged, operator} {
		if err := k8s.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return 1, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	mgr, err := newTestManager(cfg)
	if err != nil {
		cancel()
		return 1, err
	}
	go func() { stopped <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		cancel()
		return 1, fmt.Errorf("the cache did not sync")
	}
	code := m.Run()
	cancel()
	return code, <-stopped
}

func newTestManager(cfg *rest.Config) (ctrl.Manager, error) {
	ctrl.SetLogger(logr.Discard())
	ours, err := labels.NewRequirement(v1alpha1.ChannelLabel, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: testScheme, Metrics: metricsserver.Options{BindAddress: "0"}, Logger: logr.Discard(),
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{managed: {}},
			ByObject:          map[client.Object]cache.ByObject{&corev1.Secret{}: {Label: labels.NewSelector().Add(*ours)}},
		},
	})
	if err != nil {
		return nil, err
	}
	if err := SetupIndexes(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	suspects := NewSuspectApps()
	apps := appclient.New(appclient.Options{Reader: k8s})
	channels := &TiktokChannelReconciler{
		Client: mgr.GetClient(), Live: k8s,
		Store: tokenstore.New(tokenstore.Options{Client: k8s, Cache: mgr.GetCache(), Holder: "suite"}),
		Apps:  apps, Suspects: suspects,
		Reservations: reservation.New(reservation.Options{Client: k8s, Namespace: operator}),
		Links:        &AuthorizationLinks{Client: k8s, Namespace: operator, Clock: clock.RealClock{}},
		ResolveSink:  resolveNothing, Recorder: mgr.GetEventRecorder("tiktok-operator"), Metrics: NewMetrics(prometheus.NewRegistry()),
		Clock: clock.RealClock{},
	}
	if err := channels.SetupWithManager(mgr, controller.Options{}); err != nil {
		return nil, err
	}
	return mgr, (&TiktokAppReconciler{
		Client: mgr.GetClient(), Apps: apps, Suspects: suspects, Recorder: mgr.GetEventRecorder("tiktok-operator"), Clock: clock.RealClock{},
	}).SetupWithManager(mgr, controller.Options{})
}

func resolveNothing(context.Context, *v1alpha1.TiktokChannel, *v1alpha1.Sink) (string, error) {
	return "", nil
}

// serve runs a simulator over HTTP for one test.
func serve(t *testing.T, opts simulator.Options) (*simulator.Simulator, string) {
	t.Helper()
	sim := simulator.New(opts)
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	return sim, server.URL
}

// newApp creates a TiktokApp that uses a simulator, with its Secret.
func newApp(t *testing.T, name, simulatorURL, secret string) *v1alpha1.TiktokApp {
	t.Helper()
	ctx := t.Context()
	if secret != "" {
		newAppSecret(t, name, secret)
	}
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "sim-app", PublicURL: "http://127.0.0.1:8080",
			SecretRef: v1alpha1.AppSecretReference{Namespace: operator, Name: name},
			Endpoints: &v1alpha1.AppEndpoints{API: simulatorURL + "/open_api/v1.3/", Authorize: simulatorURL + "/v2/auth/authorize"},
			RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: 1000},
		},
	}
	if err := k8s.Create(ctx, app); err != nil {
		t.Fatalf("creating the app: %v", err)
	}
	t.Cleanup(func() { remove(t, app) })
	return app
}

func newAppSecret(t *testing.T, name, secret string) {
	t.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: name}, StringData: map[string]string{v1alpha1.DefaultAppSecretKey: secret},
	}
	if err := k8s.Create(t.Context(), s); err != nil {
		t.Fatalf("creating the app secret: %v", err)
	}
	t.Cleanup(func() { remove(t, s) })
}

// newChannel creates a channel of an app.
func newChannel(t *testing.T, namespace, name, app string, change ...func(*v1alpha1.TiktokChannel)) *v1alpha1.TiktokChannel {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: app}},
	}
	for _, f := range change {
		f(ch)
	}
	if err := k8s.Create(t.Context(), ch); err != nil {
		t.Fatalf("creating the channel: %v", err)
	}
	t.Cleanup(func() {
		remove(t, ch)
		remove(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ch.TokenSecretName()}})
	})
	return ch
}

// remove deletes an object at the end of a test, whatever holds it.
func remove(t *testing.T, object client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := k8s.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return
	}
	_ = k8s.Delete(ctx, object)
	if len(object.GetFinalizers()) > 0 {
		_ = k8s.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	}
}

// eventually polls until check returns "", and fails with its last words.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		words := check()
		if words == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + words)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// reload reads an object anew.
func reload[T client.Object](t *testing.T, object T) T {
	t.Helper()
	if err := k8s.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatalf("reading %T: %v", object, err)
	}
	return object
}
