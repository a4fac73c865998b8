package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// RouteUnrouted moves what was stored for a business that no channel held to the channel that holds it now, oldest first, and says how many
// events it moved. Calling it again, after an error too, moves nothing twice.
func (l *Log) RouteUnrouted(ctx context.Context, app, businessID, channelUID string) (int, error) {
	if !isToken(channelUID) {
		return 0, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	request := getRequest{NextFor: unroutedSubject(app, businessID), Sequence: 1}
	for moved := 0; ; moved++ {
		event, err := l.next(ctx, unroutedStream, request)
		if err != nil || event == nil {
			return moved, err
		}
		record := event.Record
		record.ChannelUID = channelUID
		if _, err := l.Append(ctx, record); err != nil {
			return moved, fmt.Errorf("routing an event to its channel: %w", err)
		}
		if err := l.deleteUnrouted(ctx, event.Sequence); err != nil {
			return moved, err
		}
		request.Sequence = event.Sequence + 1
	}
}

func (l *Log) deleteUnrouted(ctx context.Context, sequence uint64) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	err := l.streams[unroutedStream].DeleteMsg(ctx, sequence)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return &UnavailableError{Doing: "removing an event that was routed", Err: err}
	}
	return nil
}
