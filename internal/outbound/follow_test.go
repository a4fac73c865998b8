package outbound_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
)

// oneJob is the one job that there is, and what became of it.
type oneJob struct {
	*eventlog.Log
	job eventlog.Job
	err error
}

// WorkJobs implements outbound.JobLog.
func (j *oneJob) WorkJobs(ctx context.Context, _ string, handle func(context.Context, eventlog.Job) error) error {
	j.err = handle(ctx, j.job)
	return nil
}

// A channel that this replica's cache does not know is looked for until the job ends, and then somebody is told.
func TestFollowerLooksForTheChannelUntilTheJobEnds(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.TiktokChannel{}, ingest.BusinessIndex, ingest.BusinessKeys).Build()
	added := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		attempt int
		age     time.Duration
		ends    bool
	}{{1, 0, false}, {3, time.Minute, false}, {400, eventlog.JobMaxAge - time.Hour, false}, {440, eventlog.JobMaxAge - time.Minute, true}} {
		var told strings.Builder
		log := &oneJob{job: eventlog.Job{Attempt: tc.attempt, AddedAt: added, Record: eventlog.Record{
			ID: "evt_1", App: "app", BusinessID: "-biz", ChannelUID: "uid-0", Conversation: "c",
		}}}
		f := &outbound.Follower{
			Reader: reader, Log: log, Clock: clocktesting.NewFakePassiveClock(added.Add(tc.age)),
			Logger: funcr.New(func(_, args string) { told.WriteString(args) }, funcr.Options{}),
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if (log.err == nil) != tc.ends || strings.Contains(told.String(), `"event"="evt_1"`) != tc.ends {
			t.Errorf("attempt %d after %s: %v; told %q", tc.attempt, tc.age, log.err, &told)
		}
	}
}
