package removal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

const (
	// markTimeout bounds one try.
	markTimeout = 10 * time.Second
	// maxLookupWait is the longest wait before a channel that is not there is looked for again.
	maxLookupWait = time.Minute
)

var errNoChannel = errors.New("the channel does not hold the business")

// Jobs are those of the event log. *eventlog.Log has them.
type Jobs interface {
	WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error
}

// Marker notes on a channel's token Secret that the authorization of a business is over. *tokenstore.Store is one.
type Marker interface {
	MarkRemoved(ctx context.Context, ch *v1alpha1.TiktokChannel, business string, removal token.Removal) (marked bool, err error)
}

// Worker does the jobs that the webhook authorization.removed leaves.
type Worker struct {
	// Reader reads channels from the cache, by ingest.BusinessIndex.
	Reader client.Reader
	Jobs   Jobs
	Tokens Marker
	// Clock; nil means the real one.
	Clock  clock.PassiveClock
	Logger logr.Logger
}

// Start implements manager.Runnable.
func (w *Worker) Start(ctx context.Context) error {
	if w.Clock == nil {
		w.Clock = clock.RealClock{}
	}
	if err := w.Jobs.WorkJobs(ctx, ingest.JobRemoved, w.mark); err != nil {
		return fmt.Errorf("noting authorizations that were removed: %w", err)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: all replicas share the jobs.
func (w *Worker) NeedLeaderElection() bool { return false }

func (w *Worker) mark(ctx context.Context, job eventlog.Job) error {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	ch, err := ingest.ChannelOf(ctx, w.Reader, job.App, job.BusinessID)
	if err != nil {
		return w.again(job, err)
	}
	if ch == nil || string(ch.UID) != job.ChannelUID {
		return w.lookAgain(job)
	}
	removal := removalOf(job.Record)
	marked, err := w.Tokens.MarkRemoved(ctx, ch, job.BusinessID, removal)
	if err != nil {
		return w.again(job, err)
	}
	w.Logger.Info("TikTok told that an authorization was removed", "namespace", ch.Namespace, "name", ch.Name, "at", removal.Time,
		"tiktokReason", int64(removal.Reason), "concernsTokens", marked)
	return nil
}

// lookAgain has a channel looked for again that does not hold the business. It may be gone, or have given the business up. But the cache of the
// replica that has the job may also be behind that of the one which found the channel, for as long as the API server is away.
func (w *Worker) lookAgain(job eventlog.Job) error {
	wait := min(eventlog.JobDelay(job.Attempt), maxLookupWait)
	if job.Ends(w.Clock.Now(), wait) {
		w.Logger.Info("a removed authorization is noted nowhere: the channel that it was of is gone, or does not hold the business any more",
			"event", job.ID, "app", job.App, "business", job.BusinessID, "channelUID", job.ChannelUID, "attempts", job.Attempt)
		return nil
	}
	return &eventlog.RetryError{After: wait, Err: errNoChannel}
}

func (w *Worker) again(job eventlog.Job, err error) error {
	w.Logger.Error(err, "it could not be noted that an authorization was removed; trying again", "event", job.ID, "attempt", job.Attempt)
	return err
}

// removalOf reads the webhook. One from the future, by our clock, is from the moment when it came: it must not outlast an authorization that
// follows it.
func removalOf(r eventlog.Record) token.Removal {
	removal := token.Removal{Time: r.ReceivedAt}
	if envelope, err := tiktok.DecodeEnvelope(r.Body); err == nil {
		removal.Reason = token.RemovalReason(tiktok.DecodeRemovalReason(envelope.Content))
		if at := envelope.CreateTime; !at.IsZero() && at.Before(removal.Time) {
			removal.Time = at
		}
	}
	removal.Time = removal.Time.UTC().Truncate(time.Second)
	return removal
}
