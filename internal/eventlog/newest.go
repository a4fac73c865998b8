package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// newestBatch is how many lanes one request reads.
	newestBatch = 500
	// newestPatience is how often the server may give nothing although there is something, and newestPause the time between.
	newestPatience, newestPause = 20, 10 * time.Millisecond
)

// NewestSequence is the sequence of the channel's newest event; 0 if it has none.
func (l *Log) NewestSequence(ctx context.Context, channelUID string) (uint64, error) {
	if !isToken(channelUID) {
		return 0, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	return l.newest(ctx, channelUID)
}

// OldestSequence is that of the oldest event that is kept, of whatever channel; if there is none, that of the next one. What came before it has
// reached the end of its retention.
func (l *Log) OldestSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	stream, err := l.js.Stream(ctx, eventsStream)
	if err != nil {
		return 0, &UnavailableError{Doing: "asking for the oldest event", Err: err}
	}
	return stream.CachedInfo().State.FirstSeq, nil
}

// NewestOfLanes gives the newest event of each of a channel's lanes, in their order and without bodies. It costs about as much as there are lanes,
// however many events they hold.
func (l *Log) NewestOfLanes(ctx context.Context, channelUID string, visit func(Stored)) error {
	const doing = "reading the newest events of conversations"
	if !isToken(channelUID) {
		return fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	// A direct get of the last message of several subjects would not do: the server refuses more than 1,024 of them.
	consumer, err := l.readJS.CreateConsumer(ctx, eventsStream, jetstream.ConsumerConfig{
		FilterSubject: channelFilter(channelUID), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: 2 * DefaultTimeout,
	})
	if err != nil {
		return &UnavailableError{Doing: doing, Err: err}
	}
	info := consumer.CachedInfo()
	defer func() { // else the server does, in a while
		ctx, cancel := l.bounded(context.WithoutCancel(ctx))
		defer cancel()
		_ = l.readJS.DeleteConsumer(ctx, eventsStream, info.Name)
	}()
	for pending, idle := info.NumPending, 0; pending > 0; {
		batch, err := consumer.FetchNoWait(int(min(pending, newestBatch)))
		if err != nil {
			return &UnavailableError{Doing: doing, Err: err}
		}
		before := pending
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("%s: %w", doing, err)
			}
			pending = meta.NumPending
			visit(Stored{
				Record: decodeRecord(m.Headers(), nil), Sequence: meta.Sequence.Stream, Lane: laneOf(m.Subject()), StoredAt: meta.Timestamp,
			})
		}
		switch err := batch.Error(); {
		case err != nil && !errors.Is(err, nats.ErrTimeout):
			return &UnavailableError{Doing: doing, Err: err}
		case ctx.Err() != nil:
			return &UnavailableError{Doing: doing, Err: ctx.Err()}
		case pending < before:
			idle = 0
			continue
		}
		now, err := consumer.Info(ctx)
		if err != nil {
			return &UnavailableError{Doing: doing, Err: err}
		}
		if now.NumPending >= pending { // it counts what is being stored just now, and gives it in a moment
			if idle++; idle > newestPatience {
				return &UnavailableError{Doing: doing, Err: errors.New("the server does not give what it has")}
			}
			pause(ctx, newestPause)
		}
		pending = now.NumPending // some may have been removed meanwhile
	}
	return nil
}
