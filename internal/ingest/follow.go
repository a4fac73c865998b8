package ingest

import (
	"context"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// JobFetch is the kind of the job to fetch the messages that an event tells of without holding them.
const JobFetch = "fetch"

// eventReceiveEU says that a user in the EEA, Switzerland or the UK wrote, and no more.
const eventReceiveEU = "im_receive_msg_eu"

// follow adds the work that an event entails, once the event is stored under its channel. Doing so again adds nothing.
func follow(ctx context.Context, log EventLog, r eventlog.Record) error {
	if r.Event != eventReceiveEU {
		return nil
	}
	return log.AddJob(ctx, eventlog.Job{Kind: JobFetch, Record: r})
}
