package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/utils/clock"
)

const (
	// keepEvery is how often the streams of an external server are looked for, besides after each reconnection.
	keepEvery = 10 * time.Second
	// missingTwice is the wait before a stream that is missing is believed to be: a cluster that comes up knows less than it has for a moment.
	missingTwice = 2 * time.Second
)

// keep makes the streams of an external server anew if it loses them, until the context ends: webhooks are taken again without a restart.
func (l *Log) keep(ctx context.Context) {
	ticker := clock.RealClock{}.NewTicker(keepEvery) // the server's time is the machine's
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.reconnected:
		case <-ticker.C():
		}
		if err := l.keepOnce(ctx); err != nil && ctx.Err() == nil {
			l.opts.Log.Info("the streams of the event log could not be looked at; trying again", "reason", err.Error())
		}
	}
}

func (l *Log) keepOnce(ctx context.Context) error {
	missing, err := l.missing(ctx)
	if len(missing) > 0 && err == nil {
		pause(ctx, missingTwice)
		missing, err = l.missing(ctx)
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	l.opts.Log.Error(nil, "the NATS server has lost streams of the event log, and all that they held; they are made anew", "streams", missing)
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	return l.ensureStreams(ctx)
}

// missing are the streams that are not there. It takes note of events that another replica has made a new stream for.
func (l *Log) missing(ctx context.Context) (names []string, err error) {
	for _, name := range append(slices.Clone(allStreams()), leasesStream) {
		stream, err := l.js.Stream(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			names = append(names, name)
		case err != nil:
			return nil, fmt.Errorf("looking at the stream %s: %w", name, err)
		case name == eventsStream && l.setEpoch(stream.CachedInfo().Created):
			l.opts.Log.Info("the stream of events is another one than before: deliveries begin at its first event")
		}
	}
	return names, nil
}

// onReconnect has the streams looked for.
func (l *Log) onReconnect(*nats.Conn) {
	select {
	case l.reconnected <- struct{}{}:
	default:
	}
}
