package deadletter

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// JobReplay is the kind of jobs that put stored events at the end of their lanes once more.
const JobReplay = "replay"

// Jobs is what the Replayer needs of the event log. *eventlog.Log is one.
type Jobs interface {
	WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// Replayer does the replays of stored events that the API accepted. All replicas share them.
type Replayer struct {
	Jobs Jobs
	// Clock; nil means the real one.
	Clock  clock.PassiveClock
	Logger logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica works.
func (*Replayer) NeedLeaderElection() bool { return false }

// Start works until the context ends.
func (r *Replayer) Start(ctx context.Context) error {
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	if err := r.Jobs.WorkJobs(ctx, JobReplay, r.replay); err != nil {
		return fmt.Errorf("working on replays: %w", err)
	}
	return nil
}

// replay makes one attempt at a job.
func (r *Replayer) replay(ctx context.Context, job eventlog.Job) error {
	log := r.Logger.WithValues("channelUID", job.ChannelUID, "sink", job.Sink, "replay", job.ID, "attempt", job.Attempt)
	sequences, ok := sequencesOf(job)
	if !ok {
		log.Info("a replay cannot be read; it is given up")
		return nil
	}
	done, gone, err := r.append(ctx, job, sequences)
	switch {
	case err == nil:
		log.Info("events to be replayed are on their way", "events", done, "gone", gone)
	case ctx.Err() == nil && job.Ends(r.Clock.Now(), eventlog.JobDelay(job.Attempt)):
		log.Error(err, "a replay could not be done for days, and is given up; ask for it again when the event log stores", "events", done, "gone", gone,
			"left", len(sequences)-done-gone)
		return nil
	}
	return err
}

// append puts the events into the log one after the other, so that those of a conversation keep their order. One that is begun again, or worked on
// in two places, appends nothing twice: the log recognises what it has of the same occasion, for longer than a job is tried.
func (r *Replayer) append(ctx context.Context, job eventlog.Job, sequences []uint64) (done, gone int, err error) {
	for _, sequence := range sequences {
		// That there is none is certain then, also where a server lags behind its cluster.
		next := eventlog.Query{ChannelUID: job.ChannelUID, After: eventlog.Position{Sequence: sequence - 1}, Limit: 1, MaxBytes: 1}
		events, _, err := r.Jobs.Events(ctx, next)
		if err != nil {
			return done, gone, fmt.Errorf("reading an event to replay: %w", err)
		}
		if len(events) == 0 || events[0].Sequence != sequence { // it has reached the end of its retention
			gone++
			continue
		}
		record := events[0].Record
		record.Sink, record.Replay = job.Sink, "events-"+job.ID
		if _, err := r.Jobs.Append(ctx, record); err != nil {
			return done, gone, fmt.Errorf("replaying an event: %w", err)
		}
		done++
	}
	return done, gone, nil
}

// sequencesOf are the places in the log of the events that a job is about.
func sequencesOf(job eventlog.Job) (sequences []uint64, ok bool) {
	err := json.Unmarshal(job.Body, &sequences)
	return sequences, err == nil && job.Sink != ""
}
