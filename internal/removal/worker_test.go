package removal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/removal"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

var received = time.Date(2026, 8, 1, 10, 0, 0, 500_000_000, time.UTC)

// job is the one job that there is, and what became of it.
type job struct {
	eventlog.Job
	err error
}

// WorkJobs implements removal.Jobs.
func (j *job) WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error {
	if kind == ingest.JobRemoved {
		j.err = handle(ctx, j.Job)
	}
	return nil
}

// marker is a token store.
type marker struct {
	channel, business string
	removal           token.Removal
	err               error
}

// MarkRemoved implements removal.Marker.
func (m *marker) MarkRemoved(_ context.Context, ch *v1alpha1.TiktokChannel, business string, r token.Removal) (bool, error) {
	m.channel, m.business, m.removal = ch.Name, business, r
	return true, m.err
}

// worker is in a cluster with the channel main, uid-1, which holds -biz.
func worker(t *testing.T, m *marker) *removal.Worker {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: types.UID("uid-1")},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "app"}},
		Status:     v1alpha1.TiktokChannelStatus{BusinessID: "-biz"},
	}
	return &removal.Worker{Tokens: m, Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch).
		WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).Build()}
}

// do has a worker do a job.
func do(t *testing.T, w *removal.Worker, j eventlog.Job) error {
	t.Helper()
	one := &job{Job: j}
	w.Jobs = one
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return one.err
}

// work does a job of the channel.
func work(t *testing.T, m *marker, attempt int, body string) error {
	t.Helper()
	return do(t, worker(t, m), eventlog.Job{Attempt: attempt, Record: eventlog.Record{
		ID: "evt_1", App: "app", BusinessID: "-biz", ChannelUID: "uid-1", ReceivedAt: received, Body: []byte(body),
	}})
}

func TestWhatIsNoted(t *testing.T) {
	second := received.Truncate(time.Second)
	for name, tc := range map[string]struct {
		body string
		want token.Removal
	}{
		"as documented": {
			`{"event":"x","create_time":1785578000,"content":"{\"reason\":2}"}`,
			token.Removal{Time: time.Unix(1785578000, 0).UTC(), Reason: token.RemovalAccountDeleted},
		},
		"no reason, no time": {`{"event":"x"}`, token.Removal{Time: second}},
		"from the future": {
			`{"event":"x","create_time":1985578000,"content":"{\"reason\":5}"}`,
			token.Removal{Time: second, Reason: token.RemovalDeveloperRevoked},
		},
		"odd content":             {`{"event":"x","create_time":"1785578000","content":"gone"}`, token.Removal{Time: time.Unix(1785578000, 0).UTC()}},
		"not to be decoded":       {`{`, token.Removal{Time: second}},
		"a later reason's number": {`{"event":"x","content":{"reason":"9"}}`, token.Removal{Time: second, Reason: 9}},
	} {
		m := &marker{}
		if err := work(t, m, 1, tc.body); err != nil || m.channel != "main" || m.business != "-biz" || m.removal != tc.want {
			t.Errorf("%s: noted %+v (%v), want %+v", name, m, err, tc.want)
		}
	}
}

// While the API server is away, the job stays.
func TestFailureIsTriedAgain(t *testing.T) {
	m := &marker{err: errors.New("connection refused")}
	for _, attempt := range []int{1, 100} {
		if err := work(t, m, attempt, `{"event":"x"}`); !errors.Is(err, m.err) {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
}

// The cache of a replica may be behind for as long as the API server is away. A channel that is gone is looked for until the job ends, and then
// somebody is told.
func TestChannelThatIsGone(t *testing.T) {
	added := received.Add(time.Second)
	m := &marker{}
	for _, tc := range []struct {
		attempt int
		now     time.Time
		ends    bool
	}{
		{1, added, false}, {3, added.Add(20 * time.Second), false}, {4000, added.Add(eventlog.JobMaxAge - 2*time.Minute), false},
		{4001, added.Add(eventlog.JobMaxAge - 30*time.Second), true},
	} {
		var told strings.Builder
		w := worker(t, m)
		w.Clock, w.Logger = clocktesting.NewFakePassiveClock(tc.now), funcr.New(func(_, args string) { told.WriteString(args) }, funcr.Options{})
		err := do(t, w, eventlog.Job{Attempt: tc.attempt, AddedAt: added, Record: eventlog.Record{
			ID: "evt_1", App: "app", BusinessID: "-biz", ChannelUID: "uid-0",
		}})
		var again *eventlog.RetryError
		if errors.As(err, &again) == tc.ends || (err == nil) != tc.ends {
			t.Errorf("attempt %d at %s: %v", tc.attempt, tc.now, err)
		}
		if again != nil && (again.After <= 0 || again.After > time.Minute) {
			t.Errorf("attempt %d: the next one is after %s", tc.attempt, again.After)
		}
		if strings.Contains(told.String(), `"event"="evt_1"`) != tc.ends {
			t.Errorf("attempt %d at %s: told %q", tc.attempt, tc.now, &told)
		}
	}
	if m.channel != "" {
		t.Errorf("noted on %s, which is another channel", m.channel)
	}
}
