package tokenstore_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// The tests run on a real kube-apiserver and etcd: compare-and-swap, immutability and namespaces that go are theirs.
var k8s client.WithWatch

const shop = "shop" // the channels' namespace

func TestMain(m *testing.M) {
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tokenstore suite:", err)
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
	if err := k8s.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// process is a process with a store of its own. Its clock never waits: sleeping lets its time pass.
type process struct {
	*tokenstore.Store
	*clocktesting.FakeClock
	journal *journal.Journal
	dir     string
}

var begun = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

// newProcess starts a process whose writes go through funcs. No line that it logs may hold a token.
func newProcess(t *testing.T, holder string, funcs ...interceptor.Funcs) *process {
	t.Helper()
	return newProcessIn(t, t.TempDir(), holder, funcs...)
}

// newProcessIn starts a process on the volume of an earlier one.
func newProcessIn(t *testing.T, dir, holder string, funcs ...interceptor.Funcs) *process {
	t.Helper()
	p := &process{FakeClock: clocktesting.NewFakeClock(begun), dir: dir}
	var err error
	if p.journal, err = journal.Open(dir); err != nil {
		t.Fatal(err)
	}
	var cl client.Client = k8s
	if len(funcs) > 0 {
		cl = interceptor.NewClient(k8s, funcs[0])
	}
	var mu sync.Mutex
	var lines []string
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		noToken(t, strings.Join(lines, "\n"))
	})
	log := funcr.New(func(prefix, args string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, prefix+args)
	}, funcr.Options{Verbosity: 9})
	p.Store = tokenstore.New(tokenstore.Options{Client: cl, Clock: p.FakeClock, Holder: holder, Journal: p.journal, Log: log})
	return p
}

func noToken(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "SECRET") {
		t.Errorf("a token is told: %s", text)
	}
}

var names atomic.Int64

func newChannel(t *testing.T) *v1alpha1.TiktokChannel {
	t.Helper()
	return newChannelNamed(t, shop, fmt.Sprintf("channel-%d", names.Add(1)))
}

func newChannelNamed(t *testing.T, namespace, name string) *v1alpha1.TiktokChannel {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
	}
	if err := k8s.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	return ch
}

// tokens of the n-th issue.
func tokens(n int) token.Tokens {
	return token.Tokens{
		AccessToken: tiktok.Secret(fmt.Sprintf("SECRET-access-%d", n)), RefreshToken: tiktok.Secret(fmt.Sprintf("SECRET-refresh-%d", n)),
		AccessTokenExpiresAt: begun.Add(24 * time.Hour), RefreshTokenExpiresAt: begun.Add(8760 * time.Hour),
		BusinessID: "business", Scopes: []string{"a", "b"}, ObtainedAt: begun,
	}
}

// connected is a channel that was authorized, with its first tokens.
func connected(t *testing.T) *v1alpha1.TiktokChannel {
	t.Helper()
	ch := newChannel(t)
	if err := newProcess(t, "person").Authorize(t.Context(), ch, tokens(1), 0); err != nil {
		t.Fatal(err)
	}
	return ch
}

func (p *process) read(t *testing.T, ch *v1alpha1.TiktokChannel) *tokenstore.Snapshot {
	t.Helper()
	snap, err := p.GetLive(t.Context(), ch)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// claim claims the channel as it is now.
func (p *process) claim(t *testing.T, ch *v1alpha1.TiktokChannel) *tokenstore.Claimed {
	t.Helper()
	claimed, err := p.Claim(t.Context(), ch, p.read(t, ch))
	if err != nil {
		t.Fatal(err)
	}
	if err := claimed.Begin(); err != nil {
		t.Fatal(err)
	}
	return claimed
}

// secretOf reads the Secret of the name of the channel's token Secret, whoever's it is.
func secretOf(t *testing.T, ch *v1alpha1.TiktokChannel) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := k8s.Get(t.Context(), ch.TokenSecretKey(), secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// has fails unless the channel's Secret is its own, and holds exactly the n-th tokens and no claim.
func has(t *testing.T, ch *v1alpha1.TiktokChannel, n int) *tokenstore.Snapshot {
	t.Helper()
	snap := newProcess(t, "reader").read(t, ch)
	if snap == nil || snap.DecodeErr != nil || !reflect.DeepEqual(snap.Tokens, tokens(n)) || snap.State.Claim != nil {
		t.Fatalf("the Secret holds %+v, want tokens %d and no claim", snap, n)
	}
	return snap
}

// journalled are the entries that a process starting now would find.
func journalled(t *testing.T, dir string) []journal.Entry {
	t.Helper()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := j.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := k8s.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
