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
	// JobStatus: tell what the event means for the status of the business's messages.
	JobStatus = "status"
)

const (
	// eventReceiveEU says that a user in the EEA, Switzerland or the UK wrote, and no more.
	eventReceiveEU = "im_receive_msg_eu"
	// eventSend says that a message of the business's is in its conversation, and eventRead that the user has read.
	eventSend, eventRead = "im_send_msg", "im_mark_read_msg"
)

// follow adds the work that an event entails, once the event is stored under its channel. Doing so again adds nothing.
func follow(ctx context.Context, log EventLog, r eventlog.Record) error {
	switch r.Event {
	case eventReceiveEU:
		return log.AddJob(ctx, eventlog.Job{Kind: JobFetch, Record: r})
	case tiktok.EventAuthorizationRemoved:
		return log.AddJob(ctx, eventlog.Job{Kind: JobRemoved, Record: r})
	case eventSend, eventRead:
		if r.Conversation == "" {
			return nil
		}
		return log.AddJob(ctx, eventlog.Job{Kind: JobStatus, Record: r})
	default:
		return nil
	}
}
