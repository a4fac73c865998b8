package dispatch_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
)

// ahead is the real clock, with a lead that a test gives it.
type ahead struct {
	clock.RealClock
	lead atomic.Int64
}

func (a *ahead) Now() time.Time                  { return a.RealClock.Now().Add(time.Duration(a.lead.Load())) }
func (a *ahead) Since(t time.Time) time.Duration { return a.Now().Sub(t) }

// counted counts the applies.
type counted struct {
	client.Client
	applies atomic.Int64
}

func (c *counted) Status() client.SubResourceWriter { return &countedStatus{c.Client.Status(), c} }

type countedStatus struct {
	client.SubResourceWriter
	c *counted
}

func (s *countedStatus) Apply(ctx context.Context, obj k8sruntime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	s.c.applies.Add(1)
	return s.SubResourceWriter.Apply(ctx, obj, opts...)
}

func TestOnlyTurnsOfSinksAreReported(t *testing.T) {
	down := newReceiver(t, always(http.StatusServiceUnavailable))
	up := newReceiver(t, nil)
	ch := channelWith(sinkOf("down", down.URL), sinkOf("up", up.URL))
	lead := &ahead{}
	r := newRig(t, func(o *dispatch.Options) { o.Clock = lead })
	scheme := k8sruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch.DeepCopy()).WithStatusSubresource(ch).Build()
	counter := &counted{Client: api}
	reporter := func() *dispatch.Reporter { return &dispatch.Reporter{Reader: api, Client: counter, Dispatcher: r.d} }
	report := reporter()
	status := func() []v1alpha1.SinkStatus {
		t.Helper()
		var now v1alpha1.TiktokChannel
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(ch), &now); err != nil {
			t.Fatal(err)
		}
		return now.Status.Sinks
	}
	step := func(d time.Duration) {
		lead.lead.Add(int64(d))
		report.Report(t.Context())
	}
	r.apply(ch)
	r.put(uid, "evt", 1)
	eventually(t, "failures", func() bool { return down.tried() > 2 && len(up.got()) == 1 })
	step(30 * time.Second)
	if n := counter.applies.Load(); n != 0 {
		t.Fatalf("after half a minute, %d writes", n)
	}
	step(40 * time.Second)
	sinks := status()
	if len(sinks) != 1 || sinks[0].Name != "down" || sinks[0].State != v1alpha1.SinkFailing || !strings.Contains(sinks[0].Message, "503") ||
		strings.Contains(sinks[0].Message, "http") || sinks[0].Since.After(time.Now()) {
		t.Fatalf("got %+v\n%s", sinks, r.logged)
	}
	for range 3 {
		step(2 * time.Minute)
	}
	if n := counter.applies.Load(); n != 1 {
		t.Fatalf("a sink that goes on failing was written %d times", n)
	}

	// A restart makes no sink healthy.
	r.restart()
	report = reporter()
	r.apply(ch)
	step(0)
	if n := counter.applies.Load(); n != 1 || status()[0].State != v1alpha1.SinkFailing {
		t.Fatalf("after a restart: %d writes, %+v", n, status())
	}

	down.set(nil)
	eventually(t, "the event", func() bool { return len(down.got()) == 1 })
	eventually(t, "its recovery", func() bool { step(0); return status()[0].State == v1alpha1.SinkHealthy })

	// Another turn within a minute is written when the minute is over.
	ch.Spec.Sinks = ch.Spec.Sinks[1:]
	var stored v1alpha1.TiktokChannel
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(ch), &stored); err != nil {
		t.Fatal(err)
	}
	stored.Spec.Sinks = ch.Spec.Sinks
	if err := api.Update(t.Context(), &stored); err != nil {
		t.Fatal(err)
	}
	r.apply(ch)
	step(30 * time.Second)
	if n := counter.applies.Load(); n != 2 {
		t.Fatalf("%d writes within the minute", n)
	}
	step(31 * time.Second)
	if sinks := status(); len(sinks) != 0 || counter.applies.Load() != 3 {
		t.Fatalf("a removed sink is still there: %+v, %d writes", sinks, counter.applies.Load())
	}
}

// A name that leads where it may not is seen only when it is dialled: who reads the channel learns the same as of an address in the uri.
func TestForbiddenAddressesOfNamesAreReported(t *testing.T) {
	rc := newReceiver(t, nil)
	ch := channelWith(sinkOf("name", strings.Replace(rc.URL, "127.0.0.1", "localhost", 1)))
	lead := &ahead{}
	r := newRig(t, func(o *dispatch.Options) { o.Clock, o.AllowPrivateSinks = lead, false })
	scheme := k8sruntime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch.DeepCopy()).WithStatusSubresource(ch).Build()
	r.apply(ch)
	r.put(uid, "evt", 1)
	eventually(t, "refusals", func() bool { return r.metric("tiktok_operator_deliveries_total", "outcome", "forbidden_address") > 1 })
	lead.lead.Add(int64(2 * time.Minute))
	(&dispatch.Reporter{Reader: api, Client: api, Dispatcher: r.d}).Report(t.Context())
	var now v1alpha1.TiktokChannel
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(ch), &now); err != nil {
		t.Fatal(err)
	}
	if s := now.Status.Sinks; len(s) != 1 || s[0].State != v1alpha1.SinkFailing || !strings.Contains(s[0].Message, "is loopback: sinks with a uri must be public") {
		t.Errorf("got %+v", s)
	}
	if rc.tried() != 0 {
		t.Error("a loopback address was reached")
	}
}
