package outbound

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// JobLog is what the Follower needs of the event log. *eventlog.Log is one.
type JobLog interface {
	WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// Follower tells what TikTok's webhooks mean for messages: delivered, read. It does the jobs of kind ingest.JobStatus.
type Follower struct {
	// Reader reads channels from the cache, by ingest.BusinessIndex.
	Reader client.Reader
	Log    JobLog
	States States
	// Clock; nil means the real one.
	Clock  clock.PassiveClock
	Logger logr.Logger
}

// Start implements manager.Runnable.
func (f *Follower) Start(ctx context.Context) error {
	if f.Clock == nil {
		f.Clock = clock.RealClock{}
	}
	if err := f.Log.WorkJobs(ctx, ingest.JobStatus, f.handle); err != nil {
		return fmt.Errorf("following messages: %w", err)
	}
	return nil
}

var errNoChannel = errors.New("the channel does not hold the business")

// NeedLeaderElection implements manager.LeaderElectionRunnable: all replicas share the jobs.
func (*Follower) NeedLeaderElection() bool { return false }

func (f *Follower) handle(ctx context.Context, job eventlog.Job) error {
	ch, err := ingest.ChannelOf(ctx, f.Reader, job.App, job.BusinessID)
	if err != nil {
		return err
	}
	if ch == nil || string(ch.UID) != job.ChannelUID {
		// It may be gone; or this replica's cache is behind that of the one which found it, for as long as the API server is away.
		if job.Ends(f.Clock.Now(), eventlog.JobDelay(job.Attempt)) {
			f.Logger.Info("the status of messages is not followed: their channel is gone, or does not hold the business any more",
				"event", job.ID, "app", job.App, "business", job.BusinessID, "channelUID", job.ChannelUID, "attempts", job.Attempt)
			return nil
		}
		return errNoChannel
	}
	state, _, err := f.States.State(ctx, ch, job.Conversation)
	if err != nil {
		return err
	}
	if err := tellAll(ctx, f.Log, ch, state, f.Clock); err != nil {
		return err
	}
	return f.join(ctx, ch, state)
}

// tellAll tells every status that follows from what is known and has not been told.
func tellAll(ctx context.Context, log appender, ch *v1alpha1.TiktokChannel, state conversation.State, c clock.PassiveClock) error {
	for _, e := range state.Untold() {
		if err := appendStatus(ctx, log, ch, e, tracecontext.Context{}, c.Now()); err != nil {
			return err
		}
	}
	return nil
}

// join finds messages whose sender never learned TikTok's answer, and tells that they were sent. A sender that may still be at it has time.
func (f *Follower) join(ctx context.Context, ch *v1alpha1.TiktokChannel, state conversation.State) error {
	now, wait := f.Clock.Now(), false
	joined := false
	for _, m := range state.Messages() {
		if m.SendID == "" || m.ID != "" || m.Status != cloudevent.StatusAccepted {
			continue
		}
		all, others := told(state, m.SendID)
		id, ok := match(all, &attempt{CalledAt: m.At, Summary: conversation.Summarize(m.Data)}, others)
		switch {
		case !ok:
			continue
		case now.Sub(m.At) < patience:
			wait = true
			continue
		}
		accepted, content := m.At, conversation.Summarize(m.Data)
		e := cloudevent.StatusEvent{Time: now.UTC(), Data: cloudevent.StatusData{
			BusinessID: ch.Status.BusinessID, ConversationID: m.Data.ConversationID, SendID: m.SendID, MessageID: id, Status: cloudevent.StatusSent,
			IdempotencyKey: m.IdempotencyKey, AcceptedAt: &accepted, Content: &content,
		}}
		if err := appendStatus(ctx, f.Log, ch, e, tracecontext.Context{}, now); err != nil {
			return err
		}
		f.Logger.Info("a message of which TikTok's answer was lost turned up", "namespace", ch.Namespace, "channel", ch.Name, "sendID", m.SendID)
		joined = true
		break // the next one goes by what is known then
	}
	if joined || wait {
		after := patience
		if joined {
			after = 0
		}
		return &eventlog.RetryError{After: after, Err: errors.New("a message may have been sent by a process that is still at it")}
	}
	return nil
}
