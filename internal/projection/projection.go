// Package projection reads the state of conversations from the event log: package conversation says what the events make of it, and the events
// are all that is stored. What was read is kept in memory, so that the next look reads only what came since.
package projection

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/utils/lru"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// keep is how many conversations are kept in memory: those that were looked at last.
	keep = 2000
	// batch and batchBytes bound one reading of the log.
	batch, batchBytes = 500, 4 << 20
)

// Log is what is read. *eventlog.Log is one.
type Log interface {
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	Epoch() int64
}

// Projection reads the states. It is safe for concurrent use.
type Projection struct {
	log  Log
	kept *lru.Cache // *lane by laneKey
}

type laneKey struct {
	epoch        int64
	channelUID   string
	conversation string
}

// lane is what is known of a conversation, up to a place in the log.
type lane struct {
	mu    sync.Mutex
	state conversation.State
	upTo  uint64
}

// New makes a Projection.
func New(log Log) *Projection { return &Projection{log: log, kept: lru.New(keep)} }

// State is the conversation's state by all events that were stored before the call. known says that there is any: TikTok may know more than the
// log does.
func (p *Projection) State(ctx context.Context, ch *v1alpha1.TiktokChannel, conversationID string) (state conversation.State, known bool, err error) {
	l := p.lane(laneKey{p.log.Epoch(), string(ch.UID), conversationID})
	l.mu.Lock()
	defer l.mu.Unlock()
	q := eventlog.Query{ChannelUID: string(ch.UID), Lane: eventlog.LaneOf(conversationID), Limit: batch, MaxBytes: batchBytes, Certain: true}
	for more := true; more; {
		q.After = eventlog.Position{Sequence: l.upTo}
		var events []*eventlog.Stored
		if events, more, err = p.log.Events(ctx, q); err != nil {
			return conversation.State{}, false, fmt.Errorf("reading a conversation: %w", err)
		}
		for _, e := range events {
			event, err := Event(ch, e)
			if err != nil {
				return conversation.State{}, false, err
			}
			l.state, l.upTo = conversation.Apply(l.state, event), e.Sequence
		}
	}
	return l.state, l.upTo > 0, nil
}

// lane finds or makes the entry of a conversation. A conversation may be older than the log: it is never taken for complete.
func (p *Projection) lane(key laneKey) *lane {
	if kept, ok := p.kept.Get(key); ok {
		return kept.(*lane)
	}
	l := &lane{state: conversation.New(key.conversation, false)}
	p.kept.Add(key, l)
	return l
}

// Event is a stored event as sinks get it.
func Event(ch *v1alpha1.TiktokChannel, e *eventlog.Stored) (cloudevent.Event, error) {
	event, err := cloudevent.Normalize(cloudevent.Input{
		ID: e.ID, Namespace: ch.Namespace, Name: ch.Name, Body: e.Body, ReceivedAt: e.ReceivedAt, Own: e.Own, Trace: e.Trace,
	})
	if err != nil {
		return cloudevent.Event{}, fmt.Errorf("reading stored event %s: %w", e.ID, err)
	}
	return event, nil
}
