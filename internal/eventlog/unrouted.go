package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// RouteUnrouted moves what was stored for a business that no channel held to the channel that holds it now, oldest first, and says how many
// events it moved. Calling it again, after an error too, moves nothing twice. each, if not nil, is called for an event that is with its channel
// before it is forgotten here; an error of it ends the moving, and after a crash it may be called for the same event again.
func (l *Log) RouteUnrouted(
	ctx context.Context, app, businessID, channelUID string, each func(context.Context, Record) error,
) (int, error) {
	if !isToken(channelUID) {
		return 0, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	request := getRequest{NextFor: unroutedSubject(app, businessID), Sequence: 1}
	for moved := 0; ; moved++ {
		event, err := l.next(ctx, unroutedStream, request)
		if err == nil && event == nil {
			err = l.confirmEnd(ctx, unroutedStream, request.NextFor, Position{Sequence: request.Sequence - 1})
		}
		if err != nil || event == nil {
			return moved, err
		}
		record := event.Record
		record.ChannelUID = channelUID
		if _, err := l.Append(ctx, record); err != nil {
			return moved, fmt.Errorf("routing an event to its channel: %w", err)
		}
		if each != nil {
			if err := each(ctx, record); err != nil {
				return moved, fmt.Errorf("handling an event that was routed to its channel: %w", err)
			}
		}
		if err := l.deleteMessage(ctx, unroutedStream, event.Sequence, "removing an event that was routed"); err != nil {
			return moved, err
		}
		request.Sequence = event.Sequence + 1
	}
}

// deleteMessage removes a message of a stream; one that is gone already is no error.
func (l *Log) deleteMessage(ctx context.Context, stream string, sequence uint64, doing string) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	err := l.streams[stream].DeleteMsg(ctx, sequence)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return &UnavailableError{Doing: doing, Err: err}
	}
	return nil
}
