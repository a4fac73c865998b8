package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Position is how far a reader of a channel's events has come.
type Position struct {
	// Sequence of the last event that is done with; 0 before the first.
	Sequence uint64
	// From is where reading begins while Sequence is 0: at the first event that was stored at or after this time.
	From time.Time
}

// getRequest is JetStream's direct get: the first message of a subject from a sequence or a time on, or the last one.
type getRequest struct {
	Sequence  uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
	NoHeaders bool       `json:"no_hdr,omitempty"`
}

func (p Position) request(filter string) getRequest {
	r := getRequest{NextFor: filter, Sequence: p.Sequence + 1}
	if p.Sequence == 0 && !p.From.IsZero() {
		from := countable(p.From)
		r.Sequence, r.StartTime = 0, &from
	}
	return r
}

// countable is a time that the server can count, in nanoseconds since 1970: the nearest to it. Others would turn into any time.
func countable(at time.Time) time.Time {
	first, last := time.Unix(0, 0), time.Unix(0, math.MaxInt64)
	switch {
	case at.Before(first):
		at = first
	case at.After(last):
		at = last
	}
	return at.UTC()
}

const (
	statusHeader      = "Status"
	statusNotFound    = "404"
	statusEndOfBatch  = "204"
	numPendingHeader  = "Nats-Num-Pending"
	directGetSubject  = "$JS.API.DIRECT.GET."
	descriptionHeader = "Description"
)

// Next reads the channel's first event after a position; nil if there is none yet.
func (l *Log) Next(ctx context.Context, channelUID string, after Position) (*Stored, error) {
	if !isToken(channelUID) {
		return nil, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	return l.next(ctx, eventsStream, after.request(channelFilter(channelUID)))
}

// Since is the position after which those events of a channel begin that were stored within a time before now, by the clock of whoever stores
// them: this machine's may be another one, or be set.
func (l *Log) Since(ctx context.Context, channelUID string, ago time.Duration) (Position, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	stream, err := l.js.Stream(ctx, eventsStream)
	if err != nil {
		return Position{}, &UnavailableError{Doing: "looking at the stream " + eventsStream, Err: err}
	}
	now := stream.CachedInfo()
	events, _, err := l.Events(ctx, Query{
		ChannelUID: channelUID, After: Position{From: now.TimeStamp.Add(-ago)}, Limit: 1, MaxBytes: 1, Certain: true,
	})
	switch {
	case err != nil:
		return Position{}, err
	case len(events) > 0:
		return Position{Sequence: events[0].Sequence - 1}, nil
	default:
		return Position{Sequence: now.State.LastSeq}, nil
	}
}

// maxBatch is the most that one read brings.
const maxBatch = 2000

// Query of a channel's events.
type Query struct {
	ChannelUID string
	// Lane to read; "" means all.
	Lane  string
	After Position
	// Limit and MaxBytes bound what is read; of events that are larger, one is read.
	Limit, MaxBytes int
	// Certain: the end of the log must be certain. On a cluster, the server that answers may lag behind the others, so that more is said until a
	// read finds nothing.
	Certain bool
}

// Events reads a channel's events in their order. more says that others follow. At the end of the log, or of the lane, there are none: that is
// certain, also where the server of a cluster that answers lags behind the others, which is an error.
func (l *Log) Events(ctx context.Context, q Query) (events []*Stored, more bool, err error) {
	if !isToken(q.ChannelUID) {
		return nil, false, fmt.Errorf("the channel UID %q is not one of Kubernetes'", q.ChannelUID)
	}
	filter := channelFilter(q.ChannelUID)
	if q.Lane != "" {
		filter = eventsPrefix + q.ChannelUID + "." + q.Lane
	}
	for try := 1; ; try++ {
		if events, more, err = l.events(ctx, q, filter); err != nil || len(events) > 0 {
			return events, more || (q.Certain && l.server == nil && err == nil), err
		}
		// What was stored just now is no lag yet.
		if err = l.confirmEnd(ctx, eventsStream, filter, q.After); err == nil || try == lagAttempts || !errors.Is(err, errLags) {
			return nil, false, err
		}
		pause(ctx, lagPause)
	}
}

func (l *Log) events(ctx context.Context, q Query, filter string) (events []*Stored, more bool, err error) {
	r := q.After.request(filter)
	r.Batch, r.MaxBytes = min(q.Limit, maxBatch), q.MaxBytes
	var pending uint64
	err = l.batch(ctx, eventsStream, "reading events", r, func(m *nats.Msg, following uint64) error {
		event, err := stored(m)
		if err != nil {
			return err
		}
		events, pending = append(events, event), following
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return events, pending > 0, nil
}

func (l *Log) next(ctx context.Context, stream string, r getRequest) (*Stored, error) {
	m, err := l.get(ctx, stream, r)
	if m == nil || err != nil {
		return nil, err
	}
	return stored(m)
}

// get reads one message; nil if there is none.
func (l *Log) get(ctx context.Context, stream string, r getRequest) (*nats.Msg, error) {
	query, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a read of the event log: %w", err)
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	m, err := l.first(ctx, func(ctx context.Context) (*nats.Msg, error) {
		return l.readConn.RequestWithContext(ctx, directGetSubject+stream, query)
	})
	if err != nil {
		return nil, &UnavailableError{Doing: "reading an event", Err: err}
	}
	switch status := m.Header.Get(statusHeader); status {
	case "":
		return m, nil
	case statusNotFound:
		return nil, nil
	default:
		return nil, &UnavailableError{Doing: "reading an event", Err: fmt.Errorf("status %s: %s", status, m.Header.Get(descriptionHeader))}
	}
}

func stored(m *nats.Msg) (*Stored, error) {
	sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading an event: the server names no sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, fmt.Errorf("reading an event: the server names no time: %w", err)
	}
	return &Stored{Record: decodeRecord(m.Header, m.Data), Sequence: sequence, Lane: laneOf(m.Header.Get(jetstream.SubjectHeader)), StoredAt: at}, nil
}

// Backlog is what waits for a reader of a channel's events.
type Backlog struct {
	// Count is the number of events after the reader's position.
	Count uint64
	// Through is the sequence of the newest event that is in Count.
	Through uint64
	// Exact is false if events of the channel were stored while it was counted: a few up to Through may be missing from Count.
	Exact bool
}

// countAttempts is how often Pending counts again because the channel received events meanwhile.
const countAttempts = 3

// Pending counts the channel's events after a position. It may take the server tens of milliseconds on a large log: it is for a backlog's size
// when one is found, not for each event.
func (l *Log) Pending(ctx context.Context, channelUID string, after Position) (Backlog, error) {
	if !isToken(channelUID) {
		return Backlog{}, fmt.Errorf("the channel UID %q is not one of Kubernetes'", channelUID)
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	before, err := l.newest(ctx, channelUID)
	var backlog Backlog
	for range countAttempts {
		if err != nil {
			return Backlog{}, err
		}
		if backlog.Count, err = l.count(ctx, channelUID, after); err != nil {
			return Backlog{}, err
		}
		if backlog.Through, err = l.newest(ctx, channelUID); err != nil {
			return Backlog{}, err
		}
		if backlog.Exact = backlog.Through == before; backlog.Exact {
			break
		}
		before = backlog.Through
	}
	return backlog, nil
}

// newest is the sequence of the channel's newest event; 0 if it has none.
func (l *Log) newest(ctx context.Context, channelUID string) (uint64, error) {
	event, err := l.next(ctx, eventsStream, getRequest{LastFor: channelFilter(channelUID)})
	if err != nil || event == nil {
		return 0, err
	}
	return event.Sequence, nil
}

func (l *Log) count(ctx context.Context, channelUID string, after Position) (uint64, error) {
	r := after.request(channelFilter(channelUID))
	r.Batch, r.MaxBytes = 1, 1
	var count uint64
	err := l.batch(ctx, eventsStream, "counting events", r, func(_ *nats.Msg, following uint64) error {
		count = following + 1
		return nil
	})
	return count, err
}

// laneAttempts is how often CountLane counts again because the lane grew, or was shortened, meanwhile.
const laneAttempts = 10

// CountLane counts the events of a lane from one sequence to another, both included. It is exact, or an error.
func (l *Log) CountLane(ctx context.Context, channelUID, lane string, first, last uint64) (uint64, error) {
	if !isToken(channelUID) || first == 0 {
		return 0, fmt.Errorf("events of the lane %q of channel UID %q from %d on cannot be counted", lane, channelUID, first)
	}
	from, err := l.countFrom(ctx, channelUID, lane, first)
	for range laneAttempts {
		if err != nil {
			return 0, err
		}
		beyond, err := l.countFrom(ctx, channelUID, lane, last+1)
		if err != nil {
			return 0, err
		}
		again, err := l.countFrom(ctx, channelUID, lane, first)
		if err != nil {
			return 0, err
		}
		if again == from {
			return from - min(from, beyond), nil
		}
		from = again
	}
	return 0, &UnavailableError{Doing: "counting events", Err: errors.New("the lane changes all the time")}
}

func (l *Log) countFrom(ctx context.Context, channelUID, lane string, first uint64) (count uint64, err error) {
	r := getRequest{NextFor: eventsPrefix + channelUID + "." + lane, Sequence: first, Batch: 1, MaxBytes: 1}
	err = l.batch(ctx, eventsStream, "counting events", r, func(_ *nats.Msg, following uint64) error {
		count = following + 1
		return nil
	})
	return count, err
}

// batch asks for several messages. The answers are the messages, each with how many follow it, and an end mark; or that there is none.
func (l *Log) batch(ctx context.Context, stream, doing string, r getRequest, each func(m *nats.Msg, following uint64) error) error {
	query, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	var sub *nats.Subscription
	end := func() {
		if sub != nil {
			_ = sub.Unsubscribe()
		}
	}
	defer end()
	m, err := l.first(ctx, func(ctx context.Context) (_ *nats.Msg, err error) {
		end()
		inbox := l.readConn.NewRespInbox()
		if sub, err = l.readConn.SubscribeSync(inbox); err != nil {
			return nil, err
		}
		if err := l.readConn.PublishRequest(directGetSubject+stream, inbox, query); err != nil {
			return nil, err
		}
		return sub.NextMsgWithContext(ctx)
	})
	for ; ; m, err = sub.NextMsgWithContext(ctx) {
		if err != nil {
			return &UnavailableError{Doing: doing, Err: err}
		}
		switch m.Header.Get(statusHeader) {
		case "":
			following, err := strconv.ParseUint(m.Header.Get(numPendingHeader), 10, 64)
			if err != nil {
				return fmt.Errorf("%s: the server does not say how many follow", doing)
			}
			if err := each(m, following); err != nil {
				return err
			}
		case statusNotFound, statusEndOfBatch:
			return nil
		default:
			return &UnavailableError{Doing: doing, Err: errors.New(m.Header.Get(descriptionHeader))}
		}
	}
}

const (
	// askAgainAfter is how long a server of a cluster may take to begin to answer a read, before another one is asked, and askAgain how often one
	// is. What begins later than that is not waited for, but for the last one's.
	askAgainAfter = time.Second
	askAgain      = 2
)

// first returns the beginning of the answer to a read. Any server of a cluster may be the one that is asked, one that hangs or is cut off too, until
// the others notice, which takes them more than a minute.
func (l *Log) first(ctx context.Context, ask func(context.Context) (*nats.Msg, error)) (*nats.Msg, error) {
	for range askAgain {
		if l.server != nil { // it is the only one
			break
		}
		trying, cancel := context.WithTimeout(ctx, askAgainAfter)
		m, err := ask(trying)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return m, err
		}
	}
	return ask(ctx)
}
