package ingest

import (
	"context"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Kinds of jobs.
const (
	// JobFetch: fetch the messages that an event tells of without holding them.
	JobFetch = "fetch"
	// JobRemoved: note on the channel's token Secret that TikTok removed the authorization.
	JobRemoved = "removed"
)

// eventReceiveEU says that a user in the EEA, Switzerland or the UK wrote, and no more.
const eventReceiveEU = "im_receive_msg_eu"

// follow adds the work that an event entails, once the event is stored under its channel. Doing so again adds nothing.
func follow(ctx context.Context, log EventLog, r eventlog.Record) error {
	switch r.Event {
	case eventReceiveEU:
		return log.AddJob(ctx, eventlog.Job{Kind: JobFetch, Record: r})
	case tiktok.EventAuthorizationRemoved:
		return log.AddJob(ctx, eventlog.Job{Kind: JobRemoved, Record: r})
	default:
		return nil
	}
}
