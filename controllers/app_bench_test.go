package controllers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	updateEndpoint = "business/webhook/update/"
	deleteEndpoint = "business/webhook/delete/"
)

// appBench is apps and channels with reconcilers of their own, on a fake clock, against the real API server and a simulator over HTTP.
//
// A TiktokApp has no namespace in which the suite's manager would not see it, so the kinds of these tests are installed once more, in a group
// of their own. What the cache's indexes give to a manager is there a selectable field of the API server.
type appBench struct {
	t        *testing.T
	clock    *clocktesting.FakeClock
	sim      *simulator.Simulator
	url      string
	k8s      client.WithWatch
	name     string
	app      *v1alpha1.TiktokApp
	r        *TiktokAppReconciler
	channels *TiktokChannelReconciler
	events   chan string
	writes   *writeCounter
	network  *network
}

var benchGroup = schema.GroupVersion{Group: "apps-bench.tiktok-operator.io", Version: "v1alpha1"}

var installBench = sync.OnceValues(func() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	s.AddKnownTypes(benchGroup, &v1alpha1.TiktokApp{}, &v1alpha1.TiktokAppList{}, &v1alpha1.TiktokChannel{}, &v1alpha1.TiktokChannelList{})
	metav1.AddToGroupVersion(s, benchGroup)
	kinds := envtest.CRDInstallOptions{Paths: []string{"../config/crd/bases"}, ErrorIfPathMissing: true}
	if err := envtest.ReadCRDFiles(&kinds); err != nil {
		return nil, err
	}
	for _, kind := range kinds.CRDs {
		kind.Name, kind.Spec.Group = kind.Spec.Names.Plural+"."+benchGroup.Group, benchGroup.Group
		field := map[string]string{v1alpha1.TiktokAppKind: appIDIndex, v1alpha1.TiktokChannelKind: appIndex}[kind.Spec.Names.Kind]
		fields := slices.Grow(kind.Spec.Versions[0].SelectableFields, 1)[:1]
		fields[0].JSONPath = "." + field
		kind.Spec.Versions[0].SelectableFields = fields
	}
	if err := envtest.CreateCRDs(restConfig, kinds.CRDs); err != nil {
		return nil, err
	}
	kinds.MaxTime, kinds.PollInterval = time.Minute, 50*time.Millisecond
	return s, envtest.WaitForCRDs(restConfig, kinds.CRDs, kinds)
})

// newAppBench makes a bench whose app was not looked at yet. Its Secret holds the simulator's secret.
func newAppBench(t *testing.T, change ...func(*v1alpha1.TiktokApp)) *appBench {
	t.Helper()
	scheme, err := installBench()
	if err != nil {
		t.Fatal(err)
	}
	b := &appBench{t: t, clock: clocktesting.NewFakeClock(time.Now().Truncate(time.Second)), writes: &writeCounter{}, network: &network{}}
	name := regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), "-")
	b.name = strings.Trim(name[:min(len(name), 45)], "-")
	b.sim, b.url = serve(t, simulator.Options{Clock: b.clock, AppID: b.name})
	if b.k8s, err = client.NewWithWatch(restConfig, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	b.restart()
	newAppSecret(t, b.name, "sim-secret")
	b.app = b.newApp(b.name, change...)
	return b
}

// healthy is a bench whose app is Ready, with counters at zero.
func healthy(t *testing.T, change ...func(*v1alpha1.TiktokApp)) *appBench {
	t.Helper()
	b := newAppBench(t, change...)
	b.pass()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.forgetCounts()
	return b
}

func (b *appBench) forgetCounts() {
	b.sim.ResetCalls()
	b.writes.take()
	b.drain()
}

// restart replaces the reconcilers by ones that remember nothing.
func (b *appBench) restart() {
	b.t.Helper()
	counted := b.writes.wrap(b.k8s)
	j, err := journal.Open(b.t.TempDir())
	if err != nil {
		b.t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(1000)
	b.events = recorder.Events
	suspects := NewSuspectApps()
	pool := appclient.New(appclient.Options{Reader: counted, Clock: b.clock, HTTPClient: b.network.client()})
	b.r = &TiktokAppReconciler{Client: counted, Apps: pool, Suspects: suspects, Recorder: recorder, Clock: b.clock}
	b.channels = &TiktokChannelReconciler{
		Client: counted, Live: counted,
		Store: tokenstore.New(tokenstore.Options{Client: counted, Holder: "bench", Journal: j, Clock: sleepy{b.clock}}),
		Apps:  pool, Suspects: suspects, Recorder: recorder, Metrics: NewMetrics(prometheus.NewRegistry()),
		Reservations: reservation.New(reservation.Options{Client: counted, Namespace: operator}),
		ResolveSink:  resolveNothing, Clock: b.clock, Random: func() float64 { return 0 },
	}
}

// pass is one look at the app; it returns when the reconciler wants to come back.
func (b *appBench) pass() time.Duration {
	b.t.Helper()
	return b.passOf(b.app)
}

func (b *appBench) passOf(o client.Object) time.Duration {
	b.t.Helper()
	req := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(o)}
	reconcile := b.r.Reconcile
	if _, ok := o.(*v1alpha1.TiktokChannel); ok {
		reconcile = b.channels.Reconcile
	}
	result, err := reconcile(b.t.Context(), req)
	if err != nil {
		b.t.Fatalf("reconciling %s: %v", req, err)
	}
	return result.RequeueAfter
}

// run lets time pass, looking at the objects whenever their reconcilers want to. As the watches do, it looks at the app when a channel
// suspects it, and at the channels when TikTok's word on the app turns.
func (b *appBench) run(d time.Duration, objects ...client.Object) {
	b.t.Helper()
	end := b.clock.Now().Add(d)
	others := slices.ContainsFunc(objects, func(o client.Object) bool { return o != b.app })
	due := make([]time.Time, len(objects))
	for i := range due {
		due[i] = b.clock.Now()
	}
	for {
		next := 0
		for i := range due {
			if due[i].Before(due[next]) {
				next = i
			}
		}
		if due[next].After(end) {
			b.clock.SetTime(end)
			return
		}
		if due[next].After(b.clock.Now()) {
			b.clock.SetTime(due[next])
		}
		suspected, valid := b.r.Suspects.Contains(b.app.Name), others && b.valid()
		after := b.passOf(objects[next])
		if after == 0 {
			after = 1000 * time.Hour
		}
		due[next] = b.clock.Now().Add(after)
		for i, o := range objects {
			_, isApp := o.(*v1alpha1.TiktokApp)
			if (isApp && !suspected && b.r.Suspects.Contains(o.GetName())) || (!isApp && valid != b.valid()) {
				due[i] = b.clock.Now()
			}
		}
	}
}

func (b *appBench) valid() bool {
	return meta.IsStatusConditionTrue(b.status().Conditions, v1alpha1.CredentialsValidCondition)
}

func (b *appBench) load(o client.Object) {
	b.t.Helper()
	if err := b.k8s.Get(b.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		b.t.Fatalf("reading %T: %v", o, err)
	}
}

func (b *appBench) gone(o client.Object) bool {
	b.t.Helper()
	return apierrors.IsNotFound(b.k8s.Get(b.t.Context(), client.ObjectKeyFromObject(o), o))
}

func (b *appBench) status() v1alpha1.TiktokAppStatus {
	b.t.Helper()
	b.load(b.app)
	return b.app.Status
}

// want checks a condition of the app, and that its message holds words.
func (b *appBench) want(condition string, status metav1.ConditionStatus, reason string, words ...string) {
	b.t.Helper()
	b.wantOf(b.app, condition, status, reason, words...)
}

func (b *appBench) wantOf(o client.Object, condition string, status metav1.ConditionStatus, reason string, words ...string) {
	b.t.Helper()
	b.load(o)
	var all []metav1.Condition
	switch o := o.(type) {
	case *v1alpha1.TiktokApp:
		all = o.Status.Conditions
	case *v1alpha1.TiktokChannel:
		all = o.Status.Conditions
	}
	if problem := conditionIs(all, condition, status, reason, words...); problem != "" {
		b.t.Fatal(problem)
	}
}

// conditionIs says what is not as wanted; "" if nothing.
func conditionIs(all []metav1.Condition, condition string, status metav1.ConditionStatus, reason string, words ...string) string {
	c := meta.FindStatusCondition(all, condition)
	if c == nil || c.Status != status || (reason != "" && c.Reason != reason) {
		return fmt.Sprintf("condition %s is %+v, want %s %s; all: %+v", condition, c, status, reason, all)
	}
	for _, w := range words {
		if !strings.Contains(c.Message, w) {
			return fmt.Sprintf("condition %s says %q, want in it %q", condition, c.Message, w)
		}
	}
	return ""
}

// message is what a condition of the app says; "" if it is absent.
func (b *appBench) message(condition string) string {
	b.t.Helper()
	if c := meta.FindStatusCondition(b.status().Conditions, condition); c != nil {
		return c.Message
	}
	return ""
}

func (b *appBench) absent(conditions ...string) {
	b.t.Helper()
	for _, condition := range conditions {
		if c := meta.FindStatusCondition(b.status().Conditions, condition); c != nil {
			b.t.Fatalf("condition %s is present: %+v", condition, c)
		}
	}
}

func (b *appBench) calls(endpoint string, want int) {
	b.t.Helper()
	if got := b.sim.CountCalls(endpoint); got != want {
		b.t.Fatalf("%d calls of %q, want %d", got, endpoint, want)
	}
}

func (b *appBench) drain() string {
	var out []string
	for {
		select {
		case e := <-b.events:
			out = append(out, e)
		default:
			return strings.Join(out, "\n")
		}
	}
}
