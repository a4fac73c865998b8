package eventlog

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Watch calls notify for each event that is stored from now on, by any process, in the order of storing: the channel it belongs to and its
// sequence. notify must not block. It returns when the context ends, or with an error if it cannot begin. ready, if not nil, is called once
// every later event is certain to be seen.
func (l *Log) Watch(ctx context.Context, ready func(), notify func(channelUID string, sequence uint64)) error {
	stream, err := l.readJS.Stream(ctx, eventsStream)
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		HeadersOnly:      true,
		DeliverPolicy:    jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:      stream.CachedInfo().State.LastSeq + 1,
		MaxResetAttempts: -1, // an outage of the server ends some time
	})
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		uid, ok := channelOf(m.Subject())
		if !ok {
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		notify(uid, meta.Sequence.Stream)
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		l.opts.Log.V(1).Info("watching for events was interrupted, and goes on", "reason", fmt.Sprint(err))
	}))
	if err != nil {
		return &UnavailableError{Doing: "watching for events", Err: err}
	}
	defer consuming.Stop()
	if ready != nil {
		ready()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-consuming.Closed():
		return &UnavailableError{Doing: "watching for events", Err: fmt.Errorf("the subscription was closed")}
	}
}
