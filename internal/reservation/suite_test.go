package reservation_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
)

// The tests run on a real kube-apiserver and etcd, since what they are about, compare-and-swap under contention, is theirs to do.
var k8s client.WithWatch

const (
	operator = "operator" // the operator's own namespace
	shop     = "shop"     // where the channels are
)

func TestMain(m *testing.M) {
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reservation suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (int, error) {
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err != nil {
		return 1, fmt.Errorf("starting the control plane (make test sets KUBEBUILDER_ASSETS): %w", err)
	}
	defer env.Stop()
	cfg.QPS, cfg.Burst = 1000, 1000
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if k8s, err = client.NewWithWatch(cfg, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	for _, name := range []string{operator, shop} {
		if err := k8s.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// epoch is when the tests' clocks begin. It is not now, so that nothing passes by the API server's own times.
var epoch = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func newClock() *clocktesting.FakePassiveClock { return clocktesting.NewFakePassiveClock(epoch) }

func pass(c *clocktesting.FakePassiveClock, d time.Duration) { c.SetTime(c.Now().Add(d)) }

// process is a process of its own: nothing but the API server and the time is shared with others.
func process(c *clocktesting.FakePassiveClock, funcs ...interceptor.Funcs) *reservation.Reservations {
	var cl client.Client = k8s
	if len(funcs) > 0 {
		cl = interceptor.NewClient(k8s, funcs[0])
	}
	return reservation.New(reservation.Options{Client: cl, Namespace: operator, Clock: c})
}

var names atomic.Int64

// unique makes a name that no other test uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, names.Add(1)) }

func newChannel(t *testing.T) *v1alpha1.TiktokChannel {
	t.Helper()
	return newChannelNamed(t, unique("channel"))
}

func newChannelNamed(t *testing.T, name string) *v1alpha1.TiktokChannel {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: name},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
	}
	if err := k8s.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	return ch
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := k8s.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// connect puts the business into the channel's status, as the manager does.
func connect(t *testing.T, ch *v1alpha1.TiktokChannel, business string) {
	t.Helper()
	ch.Status.BusinessID = business
	if err := k8s.Status().Update(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
}

// give writes a token Secret for the channel.
func give(t *testing.T, ch *v1alpha1.TiktokChannel, business string, change ...func(*corev1.Secret)) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ch.Namespace, Name: ch.TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: ch.Name},
		},
		Type:       v1alpha1.TokenSecretType,
		StringData: map[string]string{v1alpha1.RefreshTokenKey: "r", v1alpha1.BusinessIDKey: business},
	}
	for _, f := range change {
		f(secret)
	}
	if err := k8s.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}
