package dispatch_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// aged is a log whose events are older than those with which a new sink begins.
type aged struct{ *eventlog.Log }

func (a aged) Since(ctx context.Context, channelUID string, _ time.Duration) (eventlog.Position, error) {
	return a.Log.Since(ctx, channelUID, 0)
}

// spoil puts messages into the stopped log's store, by subject, past the log.
func (r *rig) spoil(values map[string]string) {
	r.t.Helper()
	ns, err := natsserver.NewServer(&natsserver.Options{
		ServerName: "spoiler", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, JetStreamMaxStore: 1 << 60,
		StoreDir: filepath.Join(r.logOptions.DataDir, "jetstream"),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ns.Start()
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	conn, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		r.t.Fatal(err)
	}
	for subject, value := range values {
		if _, err := js.Publish(r.t.Context(), subject, []byte(value), jetstream.WithExpectStream("TIKTOK_SINKS")); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) known() []types.NamespacedName {
	r.t.Helper()
	known, err := r.d.Known(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return known
}

// reconcile has the dispatcher told of a channel, and returns when it is to be told again.
func (r *rig) reconcile(channel types.NamespacedName) time.Duration {
	r.t.Helper()
	controller := &dispatch.Reconciler{Reader: r.client, Dispatcher: r.d}
	result, err := controller.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: channel})
	if err != nil {
		r.t.Fatal(err)
	}
	return result.RequeueAfter
}

// positions are the sinks of which a position is stored.
func (r *rig) positions() (names []string) {
	r.t.Helper()
	states, err := r.log.Sinks(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range states {
		names = append(names, s.Namespace+"/"+s.Name+" "+s.ChannelUID+" "+s.Sink)
	}
	slices.Sort(names)
	return names
}

// A sink whose position is garbage, of which only the subject says whose it is, gets all events that are kept, and the other sinks what they lack.
// What is left of sinks and channels that are gone is forgotten, whatever is looked at first.
func TestAPositionThatIsGarbageLosesNoEvent(t *testing.T) {
	channel := types.NamespacedName{Namespace: "ns", Name: "ch"}
	for name, order := range map[string][]types.NamespacedName{
		"the channel first": {channel, {}}, "what says no name first": {{}, channel, {}},
	} {
		t.Run(name, func(t *testing.T) {
			rc, other := newReceiver(t, always(503)), newReceiver(t, nil)
			r := newRig(t, nil)
			ch := channelWith(sinkOf("s", rc.URL), sinkOf("other", other.URL))
			r.apply(ch)
			want := r.put(uid, "evt", 30)
			eventually(t, "the sink is down, and the other one is not", func() bool { return rc.tried() > 3 && inOrder(other.got(), want) })
			r.stop()
			r.spoil(map[string]string{
				"tiktok.sinks." + uid + ".s": "\x00\xff{", "tiktok.sinks." + uid + ".removed": "garbage", "tiktok.sinks.uid-gone.s": "",
				"tiktok.sinks." + uid + ".stray": `{"namespace":"ns","name":"else","channelUID":"uid-else","sink":"s","sequence":30}`,
			})
			rc.set(nil)
			r.wrap = func(l *eventlog.Log) dispatch.EventLog { return aged{l} }
			r.start()
			if err := r.client.Create(t.Context(), ch.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			if known := r.known(); len(known) != 2 || !slices.Contains(known, channel) || !slices.Contains(known, types.NamespacedName{}) {
				t.Fatalf("known are %v", known)
			}
			for _, key := range order {
				r.reconcile(key)
			}
			want = append(want, r.put(uid, "new", 3)...)
			eventually(t, "all events", func() bool { return inOrder(rc.got(), want) && inOrder(other.got(), want) })
			if got := r.positions(); !slices.Equal(got, []string{"ns/ch uid-1 other", "ns/ch uid-1 s"}) {
				t.Errorf("positions of %q", got)
			}
			if known := r.known(); !slices.Equal(known, []types.NamespacedName{channel}) {
				t.Errorf("known are %v", known)
			}
			r.restart()
			r.apply(ch)
			want = append(want, r.put(uid, "newer", 3)...)
			eventually(t, "the newest events", func() bool { return inOrder(rc.got(), want) && inOrder(other.got(), want) })
		})
	}
}

// A position that does not say whose it is goes with its channel, also if nobody ever looked at that.
func TestAPositionThatIsGarbageGoesWithItsChannel(t *testing.T) {
	r := newRig(t, nil)
	r.stop()
	r.spoil(map[string]string{"tiktok.sinks." + uid + ".s": "garbage"})
	r.start()
	ch := channelWith()
	if err := r.client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if again := r.reconcile(types.NamespacedName{}); again == 0 || len(r.positions()) != 1 {
		t.Fatalf("while the channel is there: again after %s, positions of %q", again, r.positions())
	}
	if err := r.client.Delete(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	r.reconcile(types.NamespacedName{Namespace: "ns", Name: "ch"})
	if again := r.reconcile(types.NamespacedName{}); again != 0 || len(r.positions()) != 0 || len(r.known()) != 0 {
		t.Errorf("without it: again after %s, positions of %q, known are %v", again, r.positions(), r.known())
	}
}

// So it is where replicas share the log: who takes the sink over stores whose it is.
func TestAPositionThatIsGarbageIsTakenOver(t *testing.T) {
	rc, owner := newReceiver(t, nil), &turns{}
	r := newRig(t, func(o *dispatch.Options) { o.Ownership = owner })
	want := r.put(uid, "evt", 30)
	r.stop()
	r.spoil(map[string]string{
		"tiktok.sinks." + uid + ".s": "garbage", "tiktok.sinks." + uid + ".removed": "garbage", "tiktok.sinks.uid-idle.s": "garbage",
		"tiktok.sinks.uid-gone.s": "garbage",
	})
	r.wrap = func(l *eventlog.Log) dispatch.EventLog { return aged{l} }
	r.start()
	ch, idle := channelWith(sinkOf("s", rc.URL)), channelWith(sinkOf("s", rc.URL))
	idle.Name, idle.UID = "idle", "uid-idle"
	for _, c := range []*v1alpha1.TiktokChannel{ch, idle} {
		if err := r.client.Create(t.Context(), c.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		r.apply(c)
	}
	r.reconcile(types.NamespacedName{})
	owner.set(1, time.Second)
	eventually(t, "all events", func() bool { return inOrder(rc.got(), want) })
	named := []string{"ns/ch uid-1 s", "ns/idle uid-idle s"}
	eventually(t, "the positions have names, and the others are gone", func() bool { return slices.Equal(r.positions(), named) })
}
