package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	// routeEvents and routeBytes bound what is read at a time of the events that wait for a channel.
	routeEvents, routeBytes = 500, 4 << 20
	// routeAtOnce is how many conversations' events are moved at a time.
	routeAtOnce = 16
	// routeAttempts is how often it is tried to move an event that is being stored already.
	routeAttempts = 20
	// leaderPatience is how long an answer of a stream's leader is waited for at first. Nobody answers while there is none, not even when there is one
	// again.
	leaderPatience = 250 * time.Millisecond
)

// RouteUnrouted moves what was stored for a business that no channel held to the channel that holds it now, each conversation's oldest first, and
// says how many events it moved. Calling it again, after an error too, moves nothing twice. each, if not nil, is called for an event that is with
// its channel before it is forgotten here, for several conversations at once; an error of it ends the moving, and after that, or a crash, it may
// be called for the same event again.
func (l *Log) RouteUnrouted(
	ctx context.Context, app, businessID, channelUID string, each func(context.Context, Record) error,
) (moved int, err error) {
	if !isToken(channelUID) {
		return 0, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	filter := unroutedSubject(app, businessID)
	for after := uint64(0); ; {
		events, err := l.nextUnrouted(ctx, filter, after)
		if err != nil || len(events) == 0 {
			return moved, err
		}
		done, failed := l.route(ctx, events, channelUID, each)
		if done > 0 {
			after = events[done-1].Sequence
			if err := l.forgetUnrouted(ctx, filter, after); err != nil {
				return moved, errors.Join(failed, err)
			}
			moved += done
		}
		if failed != nil {
			return moved, failed
		}
	}
}

// Unrouted says for which businesses events wait for a channel; nil if none does, which is cheap to find out.
func (l *Log) Unrouted(ctx context.Context) (waits func(app, businessID string) bool, err error) {
	const doing = "looking for events that wait for their channel"
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	stream, err := l.js.Stream(ctx, unroutedStream)
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	if stream.CachedInfo().State.Msgs == 0 {
		return nil, nil
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(unroutedPrefix+">"))
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	subjects := info.State.Subjects
	return func(app, businessID string) bool { return subjects[unroutedSubject(app, businessID)] > 0 }, nil
}

// LeftByOthers says whether events of a business wait for a channel that other processes may have stored, however shortly before. Nobody else
// writes to an embedded server, where it is always false.
func (l *Log) LeftByOthers(ctx context.Context, app, businessID string) (bool, error) {
	if l.server != nil {
		return false, nil
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	for patience := leaderPatience; ; patience *= 2 {
		if err := l.mayStore(false); err != nil { // which is what is asked for
			return false, err
		}
		try, cancel := context.WithTimeout(ctx, patience)
		newest, _, err := l.newestOfLeader(try, unroutedStream, unroutedSubject(app, businessID))
		unanswered := try.Err() != nil
		if cancel(); err == nil || !unanswered || ctx.Err() != nil {
			return newest > 0, err
		}
	}
}

// nextUnrouted reads the next events that wait for a channel. That there are none is certain.
func (l *Log) nextUnrouted(ctx context.Context, filter string, after uint64) (events []*Stored, err error) {
	request := getRequest{NextFor: filter, Sequence: after + 1, Batch: routeEvents, MaxBytes: routeBytes}
	for try := 1; ; try++ {
		err = l.batch(ctx, unroutedStream, "reading events that wait for their channel", request, func(m *nats.Msg, _ uint64) error {
			event, err := stored(m)
			events = append(events, event)
			return err
		})
		if err != nil || len(events) > 0 {
			return events, err
		}
		err = l.confirmEnd(ctx, unroutedStream, filter, Position{Sequence: after})
		if err == nil || try == lagAttempts || !errors.Is(err, errLags) {
			return nil, err
		}
		pause(ctx, lagPause)
	}
}

// route puts events into their channel: one after the other within a conversation, so that none overtakes another that was refused. done is how
// many of them are there, counted up to the first that is not.
func (l *Log) route(
	ctx context.Context, events []*Stored, channelUID string, each func(context.Context, Record) error,
) (done int, failed error) {
	var conversations [][]int // of indices
	byName := map[string]int{}
	for i, e := range events {
		n, ok := byName[e.Conversation]
		if !ok {
			n = len(conversations)
			byName[e.Conversation], conversations = n, append(conversations, nil)
		}
		conversations[n] = append(conversations[n], i)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(routeAtOnce)
	routed := make([]bool, len(events))
	for _, conversation := range conversations {
		group.Go(func() error {
			for _, i := range conversation {
				if err := l.routeOne(ctx, events[i].Record, channelUID, each); err != nil {
					return err
				}
				routed[i] = true
			}
			return nil
		})
	}
	failed = group.Wait()
	for done < len(routed) && routed[done] {
		done++
	}
	return done, failed
}

func (l *Log) routeOne(ctx context.Context, r Record, channelUID string, each func(context.Context, Record) error) error {
	r.ChannelUID = channelUID
	for try := 1; ; try++ {
		_, err := l.append(ctx, r, true)
		if err == nil {
			break
		}
		if try == routeAttempts || !isInProcess(err) { // another process may be moving it, too: that is over in a moment
			return fmt.Errorf("routing an event to its channel: %w", err)
		}
		pause(ctx, lagPause)
	}
	if each == nil {
		return nil
	}
	if err := each(ctx, r); err != nil {
		return fmt.Errorf("handling an event that was routed to its channel: %w", err)
	}
	return nil
}

// forgetUnrouted removes what was routed: all of the filter up to a sequence.
func (l *Log) forgetUnrouted(ctx context.Context, filter string, last uint64) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	err := l.streams[unroutedStream].Purge(ctx, jetstream.WithPurgeSubject(filter), jetstream.WithPurgeSequence(last+1))
	if err != nil {
		return &UnavailableError{Doing: "removing events that were routed", Err: err}
	}
	return nil
}
