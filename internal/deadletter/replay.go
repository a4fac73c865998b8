package deadletter

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-logr/logr"

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
	Jobs   Jobs
	Logger logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica works.
func (*Replayer) NeedLeaderElection() bool { return false }

// Start works until the context ends.
func (r *Replayer) Start(ctx context.Context) error {
	if err := r.Jobs.WorkJobs(ctx, JobReplay, r.replay); err != nil {
		return fmt.Errorf("working on replays: %w", err)
	}
	return nil
}

// replay appends the events one after the other, so that those of a conversation keep their order. One that is begun again, or worked on in two
// places, appends nothing twice: the log recognises what it has of the same occasion, for longer than a job is tried.
func (r *Replayer) replay(ctx context.Context, job eventlog.Job) error {
	log := r.Logger.WithValues("channelUID", job.ChannelUID, "sink", job.Sink, "replay", job.ID)
	sequences, ok := sequencesOf(job)
	if !ok {
		log.Info("a replay cannot be read; it is given up")
		return nil
	}
	gone := 0
	for _, sequence := range sequences {
		// That there is none is certain then, also where a server lags behind its cluster.
		next := eventlog.Query{ChannelUID: job.ChannelUID, After: eventlog.Position{Sequence: sequence - 1}, Limit: 1, MaxBytes: 1}
		events, _, err := r.Jobs.Events(ctx, next)
		if err != nil {
			return fmt.Errorf("reading an event to replay: %w", err)
		}
		if len(events) == 0 || events[0].Sequence != sequence { // it has reached the end of its retention
			gone++
			continue
		}
		record := events[0].Record
		record.Sink, record.Replay = job.Sink, "events-"+job.ID
		if _, err := r.Jobs.Append(ctx, record); err != nil {
			return fmt.Errorf("replaying an event: %w", err)
		}
	}
	log.Info("events to be replayed are on their way", "events", len(sequences)-gone, "gone", gone, "attempt", job.Attempt)
	return nil
}

// sequencesOf are the places in the log of the events that a job is about.
func sequencesOf(job eventlog.Job) (sequences []uint64, ok bool) {
	err := json.Unmarshal(job.Body, &sequences)
	return sequences, err == nil && job.Sink != ""
}
