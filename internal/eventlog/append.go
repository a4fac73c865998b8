package eventlog

import (
	"context"
	"errors"
)

// followRoom is what is left free of the size that the server takes, in bytes, for what may become of an event and adds to its headers: a way to its
// channel, a job, a dead letter with its problem, a replay. Without it, an event that was acknowledged could hold up its conversation for good.
const followRoom = 4 << 10

// Result of Append.
type Result struct {
	// Duplicate means that the event is in the log already; this copy was dropped.
	Duplicate bool
	// Sequence is its place in the log.
	Sequence uint64
}

// Append stores an event, and returns once the server has acknowledged it. Any error means that the caller must not acknowledge the event
// either: *FullError, *TooLargeError, *UnavailableError.
func (l *Log) Append(ctx context.Context, r Record) (Result, error) { return l.append(ctx, r, false) }

// append stores an event, which was promised if it was acknowledged before.
func (l *Log) append(ctx context.Context, r Record, promised bool) (Result, error) {
	if err := r.validate(); err != nil {
		return Result{}, err
	}
	if err := l.mayStore(promised); err != nil {
		return Result{}, err
	}
	stream := eventsStream
	if r.ChannelUID == "" {
		stream = unroutedStream
	}
	m := r.message()
	if !promised && r.Replay == "" { // what is in the log already has its room
		if size, limit := int64(len(m.Data)+len(m.Header.Get(recordHeader))), l.conn.MaxPayload()-followRoom; size > limit {
			return Result{}, &TooLargeError{Size: size, Limit: limit}
		}
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	ack, err := l.publish(ctx, m, stream)
	if l.server != nil {
		l.server.answered(err, l.opts.Clock.Now())
	}
	if err != nil {
		if size, limit := int64(m.Size()), l.conn.MaxPayload(); tooLarge(err, size, limit) {
			return Result{}, &TooLargeError{Size: size, Limit: limit}
		}
		err = classify("storing an event", err)
		var unavailable *UnavailableError
		if r.ChannelUID != "" && errors.As(err, &unavailable) {
			l.watchers.doubt(r.ChannelUID)
		}
		return Result{}, err
	}
	switch {
	case r.ChannelUID == "":
	case ack.duplicate: // which may not have been told of, if its storing was not confirmed
		l.watchers.tell(r.ChannelUID, 0)
	default:
		l.watchers.tell(r.ChannelUID, ack.sequence)
	}
	return Result{Duplicate: ack.duplicate, Sequence: ack.sequence}, nil
}

// mayStore refuses at once what could only fail later.
func (l *Log) mayStore(promised bool) error {
	if l.server != nil {
		return l.server.roomForID(promised)
	}
	if !l.conn.IsConnected() {
		return &UnavailableError{Doing: "storing an event", Err: errors.New("there is no connection to the NATS server")}
	}
	return nil
}

// bounded gives a context an end where it has none.
func (l *Log) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}
