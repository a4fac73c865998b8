package channelevent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/channelevent"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	uid    = types.UID("11111111-2222-3333-4444-555555555555")
	window = 73 * time.Hour
	link   = "https://tiktok.example.com/oauth/start?link=credential"
)

var began = time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)

// fixture is a channel, a log, and any number of replicas.
type fixture struct {
	t      *testing.T
	client client.Client
	log    *eventlog.Log
	clock  *clocktesting.FakeClock
	err    error // what the log answers, if not nil
}

func setup(t *testing.T) *fixture {
	t.Helper()
	log, err := eventlog.Open(t.Context(), eventlog.Options{DataDir: t.TempDir(), Fsync: eventlog.Fsync(time.Minute), DedupWindow: window})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: uid},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch).WithStatusSubresource(ch).Build()
	return &fixture{t: t, client: c, log: log, clock: clocktesting.NewFakeClock(began)}
}

// Append implements channelevent.EventLog.
func (f *fixture) Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error) {
	if f.err != nil {
		return eventlog.Result{}, f.err
	}
	return f.log.Append(ctx, r)
}

func (f *fixture) replica() *channelevent.Reconciler {
	f.t.Helper()
	r, err := channelevent.New(channelevent.Options{Reader: f.client, Log: f, DedupWindow: window, Clock: f.clock})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fixture) look(r *channelevent.Reconciler) error {
	_, err := r.Reconcile(f.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "main"}})
	return err
}

// become writes the channel's status as the manager would.
func (f *fixture) become(change func(*v1alpha1.TiktokChannelStatus)) {
	f.t.Helper()
	var ch v1alpha1.TiktokChannel
	if err := f.client.Get(f.t.Context(), types.NamespacedName{Namespace: "shop", Name: "main"}, &ch); err != nil {
		f.t.Fatal(err)
	}
	change(&ch.Status)
	if err := f.client.Status().Update(f.t.Context(), &ch); err != nil {
		f.t.Fatal(err)
	}
}

func condition(name string, status metav1.ConditionStatus, reason, message string, at time.Time) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(at)}
}

func authorized(epoch int64, at time.Time) func(*v1alpha1.TiktokChannelStatus) {
	return func(st *v1alpha1.TiktokChannelStatus) {
		end := metav1.NewTime(at.Add(24 * time.Hour))
		st.AuthorizationEpoch, st.LastAuthorizationTime, st.AuthorizationURL = epoch, &metav1.Time{Time: at}, ""
		st.BusinessID, st.Username, st.DisplayName, st.GrantedScopes, st.AccessTokenExpiresAt = "-biz", "shop", "The Shop", []string{"a", "b"}, &end
		st.Conditions = []metav1.Condition{
			condition(v1alpha1.AuthorizedCondition, metav1.ConditionTrue, v1alpha1.ReasonAuthorized, "", at),
			condition(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "", at),
		}
	}
}

func lost(at time.Time) func(*v1alpha1.TiktokChannelStatus) {
	return func(st *v1alpha1.TiktokChannelStatus) {
		st.AuthorizationURL = link
		st.Conditions = []metav1.Condition{
			condition(v1alpha1.AuthorizedCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRemoved, "", at),
			condition(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationRemoved,
				"The business disconnected the app.", at),
		}
	}
}

// stored are the CloudEvents that sinks get from the log.
func (f *fixture) stored() []cloudevent.Event {
	f.t.Helper()
	var all []cloudevent.Event
	for position := (eventlog.Position{}); ; {
		e, err := f.log.Next(f.t.Context(), string(uid), position)
		if err != nil {
			f.t.Fatal(err)
		}
		if e == nil {
			return all
		}
		normalized, err := cloudevent.Normalize(cloudevent.Input{
			ID: e.ID, Namespace: "shop", Name: "main", Body: e.Body, ReceivedAt: e.ReceivedAt, Own: e.Own,
		})
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, normalized)
		position.Sequence = e.Sequence
	}
}

// types waits for nothing: what Reconcile told is stored when it returns.
func (f *fixture) types(want ...string) {
	f.t.Helper()
	var got []string
	for _, e := range f.stored() {
		got = append(got, strings.TrimPrefix(e.Type, "io.tiktok-operator.channel."))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		f.t.Fatalf("stored %v, want %v", got, want)
	}
}

// Each occurrence is stored once, however many replicas look, and restart, however often.
func TestEachOccurrenceIsStoredOnce(t *testing.T) {
	f := setup(t)
	replicas := []*channelevent.Reconciler{f.replica(), f.replica()}
	look := func() {
		t.Helper()
		for _, r := range append(replicas, f.replica()) {
			for range 2 {
				if err := f.look(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	look()
	f.types()
	f.become(authorized(1, began))
	look()
	f.types("authorized")
	f.clock.Step(30 * time.Hour)
	f.become(func(st *v1alpha1.TiktokChannelStatus) { st.DisplayName = "Another name" })
	look()
	f.types("authorized")
	f.become(lost(f.clock.Now()))
	look()
	f.types("authorized", "reauthorization_required")
	f.clock.Step(time.Hour)
	f.become(authorized(2, f.clock.Now()))
	look()
	f.types("authorized", "reauthorization_required", "authorized")
	f.clock.Step(time.Hour)
	f.become(lost(f.clock.Now()))
	look()
	f.types("authorized", "reauthorization_required", "authorized", "reauthorization_required")
	f.clock.Step(200 * time.Hour) // what is told was told, and for who starts now it is too old
	look()
	f.types("authorized", "reauthorization_required", "authorized", "reauthorization_required")
}

func TestWhatSinksGet(t *testing.T) {
	f := setup(t)
	f.become(authorized(1, began))
	r := f.replica()
	if err := f.look(r); err != nil {
		t.Fatal(err)
	}
	f.become(lost(began.Add(time.Hour)))
	if err := f.look(r); err != nil {
		t.Fatal(err)
	}
	events := f.stored()
	if len(events) != 2 {
		t.Fatalf("stored %+v", events)
	}
	for i, want := range []struct {
		at   time.Time
		data map[string]any
	}{
		{began, map[string]any{}},
		{began.Add(time.Hour), map[string]any{"reason": v1alpha1.ReasonAuthorizationRemoved, "message": "The business disconnected the app."}},
	} {
		for name, value := range map[string]any{
			"businessID": "-biz", "username": "shop", "displayName": "The Shop", "accessTokenExpiresAt": "2026-08-02T10:00:00Z",
		} {
			want.data[name] = value
		}
		e := events[i]
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if scopes, _ := data["grantedScopes"].([]any); len(scopes) != 2 || len(data) != len(want.data)+1 {
			t.Errorf("event %d has %s", i, e.Data)
		}
		for name, value := range want.data {
			if data[name] != value {
				t.Errorf("event %d: %s is %v, want %v", i, name, data[name], value)
			}
		}
		if !e.Time.Equal(want.at) || e.Subject != "" || e.PartitionKey != "-biz" || e.Source != cloudevent.Source("shop", "main") {
			t.Errorf("event %d: %+v", i, e)
		}
		if strings.Contains(string(e.Data), "oauth") || strings.Contains(string(e.Data), "credential") {
			t.Errorf("event %d holds the link: %s", i, e.Data)
		}
	}
}

// What happened before the log's memory begins could have been told before: it is not told anew.
func TestOldOccurrencesAreNotTold(t *testing.T) {
	for name, tc := range map[string]struct {
		age  time.Duration
		told bool
	}{
		"just now": {0, true}, "71 h 59 ago": {72*time.Hour - time.Minute, true}, "72 h ago": {72 * time.Hour, false},
		"a year ago": {8760 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, become := range map[string]func(*v1alpha1.TiktokChannelStatus){
				"authorized": authorized(1, began.Add(-tc.age)), "reauthorization_required": lost(began.Add(-tc.age)),
			} {
				f := setup(t)
				f.become(become)
				if err := f.look(f.replica()); err != nil {
					t.Fatal(err)
				}
				if tc.told {
					f.types(kind)
				} else {
					f.types()
				}
			}
		})
	}
}

// An authorization by an account that may not be the channel's is told only once the channel is authorized.
func TestUnsettledAuthorizationWaits(t *testing.T) {
	f := setup(t)
	r := f.replica()
	f.become(authorized(1, began))
	f.become(func(st *v1alpha1.TiktokChannelStatus) {
		st.Conditions[0].Status, st.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.ReasonBusinessInUse
	})
	if err := f.look(r); err != nil {
		t.Fatal(err)
	}
	f.types()
	f.become(authorized(1, began))
	if err := f.look(r); err != nil {
		t.Fatal(err)
	}
	f.types("authorized")
}

func TestWhatCouldNotBeStoredIsTriedAgain(t *testing.T) {
	f := setup(t)
	r := f.replica()
	f.become(authorized(1, began))
	f.err = errors.New("the event log is full")
	if err := f.look(r); !errors.Is(err, f.err) {
		t.Fatalf("got %v", err)
	}
	f.err = nil
	if err := f.look(r); err != nil {
		t.Fatal(err)
	}
	f.types("authorized")
}

func TestWindowIsRequired(t *testing.T) {
	if _, err := channelevent.New(channelevent.Options{DedupWindow: time.Hour}); err == nil {
		t.Error("a log that forgets within the margin is accepted")
	}
}
