package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrSinkChanged says that another process has stored the state of a sink since it was read. Nothing was stored.
var ErrSinkChanged = errors.New("the sink's position was stored by another process meanwhile")

// LoadSink reads the state of one sink, where several processes take turns at it. Revision 0 means that there is none. A position beyond the
// log's end, which a log that lost its newest events leaves, is moved back to the end. One that cannot be decoded is the beginning: every event that
// is kept is after it.
func (l *Log) LoadSink(ctx context.Context, channelUID, sink string) (state SinkState, revision uint64, err error) {
	if err := validSink(channelUID, sink); err != nil {
		return SinkState{}, 0, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	// The server that answers may lag behind its cluster: storing at the revision finds that out.
	m, err := l.get(ctx, sinksStream, getRequest{LastFor: sinkSubject(channelUID, sink)})
	if err != nil || m == nil {
		return SinkState{}, 0, err
	}
	if revision, err = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
		return SinkState{}, 0, fmt.Errorf("reading a sink's position: the server names no sequence: %w", err)
	}
	state = l.decoded(m.Data, channelUID, sink)
	l.beginAnew(&state)
	events, err := l.js.Stream(ctx, eventsStream) // after the position was read, so that the end is not older than it
	if err != nil {
		return SinkState{}, 0, classify("reading a sink's position", err)
	}
	l.moveBack(&state, events.CachedInfo().State.LastSeq)
	return state, revision, nil
}

// AdvanceSink stores a sink's state in place of the one that was read at the revision (0: there was none), and returns its own. If another
// process has stored one since, the error is ErrSinkChanged: one that lost the sink, and learns of it late, cannot overwrite newer progress.
func (l *Log) AdvanceSink(ctx context.Context, s SinkState, revision uint64) (next uint64, err error) {
	value, err := encodeSink(s)
	if err != nil {
		return 0, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	m := nats.NewMsg(sinkSubject(s.ChannelUID, s.Sink))
	m.Data = value
	ack, err := l.js.PublishMsg(ctx, m, jetstream.WithExpectStream(sinksStream), jetstream.WithExpectLastSequencePerSubject(revision))
	var api *jetstream.APIError
	switch {
	case err == nil:
		return ack.Sequence, nil
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return 0, ErrSinkChanged
	default:
		return 0, classify("storing a sink's position", err)
	}
}
