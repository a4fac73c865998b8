package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// SinkState is how far a sink of a channel has come. ChannelUID and Sink identify it.
type SinkState struct {
	// Namespace and Name of the channel; "" where the stored position does not say, since it cannot be decoded.
	Namespace, Name string
	ChannelUID      string
	// Sink is the sink's name within the channel.
	Sink string
	// Position up to which events are done, but for those of Behind.
	Position Position
	// Behind are the lanes in which events up to Position are not done, each with the first that is not.
	Behind map[string]Undone
	// Epoch of the log that Position belongs to; 0 where that does not matter yet.
	Epoch int64
	// Failing is since when every attempt has failed; nil if the last one was good.
	Failing *Failing
	// Writer names the process that stored it, where several take turns.
	Writer string
}

// Undone is the first event of a lane that is not done.
type Undone struct {
	Sequence uint64 `json:"seq"`
	// Attempts that failed so far.
	Attempts int `json:"attempts,omitempty"`
	// Pending is how many events of the lane are not done, as far as that is known: at least so many; 0 means that it is not.
	Pending uint64 `json:"pending,omitempty"`
}

// Failing is a sink whose attempts fail.
type Failing struct {
	// Since is when the first of the failures was.
	Since time.Time `json:"since"`
	// Down says that several lanes have failed.
	Down bool `json:"down,omitempty"`
	// Problem is what the last attempt met, in words.
	Problem string `json:"problem,omitempty"`
}

type sinkWire struct {
	Namespace  string     `json:"namespace"`
	Name       string     `json:"name"`
	ChannelUID string     `json:"channelUID"`
	Sink       string     `json:"sink"`
	Sequence   uint64     `json:"sequence,omitempty"`
	From       *time.Time `json:"from,omitempty"`

	Behind map[string]Undone `json:"behind,omitempty"`
	Epoch  int64             `json:"epoch,omitempty"`
	Writer string            `json:"writer,omitempty"`

	Failing *Failing `json:"failing,omitempty"`
}

// SaveSink stores a sink's state in place of the earlier one.
func (l *Log) SaveSink(ctx context.Context, s SinkState) error {
	value, err := encodeSink(s)
	if err != nil {
		return err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	if _, err := l.js.Publish(ctx, sinkSubject(s.ChannelUID, s.Sink), value, jetstream.WithExpectStream(sinksStream)); err != nil {
		return classify("storing a sink's position", err)
	}
	return nil
}

func encodeSink(s SinkState) ([]byte, error) {
	if err := validSink(s.ChannelUID, s.Sink); err != nil {
		return nil, err
	}
	wire := sinkWire{
		Namespace: s.Namespace, Name: s.Name, ChannelUID: s.ChannelUID, Sink: s.Sink, Sequence: s.Position.Sequence, Behind: s.Behind,
		Epoch: s.Epoch, Writer: s.Writer, Failing: s.Failing,
	}
	if !s.Position.From.IsZero() {
		from := s.Position.From.UTC()
		wire.From = &from
	}
	value, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("encoding a sink's position: %w", err)
	}
	return value, nil
}

func validSink(channelUID, sink string) error {
	if !isToken(channelUID) || sink == "" {
		return fmt.Errorf("a sink's position needs a channel's UID and the sink's name, not %q and %q", channelUID, sink)
	}
	return nil
}

// DeleteSink forgets a sink. Its channel's events stay.
func (l *Log) DeleteSink(ctx context.Context, channelUID, sink string) error {
	if err := validSink(channelUID, sink); err != nil {
		return err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	if err := l.streams[sinksStream].Purge(ctx, jetstream.WithPurgeSubject(sinkSubject(channelUID, sink))); err != nil {
		return classify("deleting a sink's position", err)
	}
	return nil
}

// Sinks lists the state of all sinks. A position beyond the log's end, which a power cut can leave where Fsync is an interval, is moved back
// to the end, so that no new event is taken for a delivered one. One that cannot be decoded begins anew at the oldest event; whose it is, its subject
// says.
func (l *Log) Sinks(ctx context.Context) ([]SinkState, error) {
	const doing = "listing sinks"
	events, err := l.js.Stream(ctx, eventsStream)
	if err != nil {
		return nil, &UnavailableError{Doing: doing, Err: err}
	}
	end := events.CachedInfo().State.LastSeq
	var states []SinkState
	read, lagging := uint64(0), 0
	for {
		newest, _, err := l.newestOfLeader(ctx, sinksStream, sinksFilter)
		if err != nil {
			return nil, err
		}
		if newest <= read {
			break
		}
		// Whoever else stores meanwhile need not be waited for.
		before := read
		for more := true; more && read < newest; {
			request := getRequest{NextFor: sinksFilter, Sequence: read + 1, Batch: maxBatch}
			more = false
			if err := l.batch(ctx, sinksStream, doing, request, func(m *nats.Msg, following uint64) (err error) {
				if read, err = strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
					return fmt.Errorf("%s: the server names no sequence: %w", doing, err)
				}
				more = following > 0
				state, known := l.listed(m)
				if known {
					states = append(states, state)
				}
				return nil
			}); err != nil {
				return nil, err
			}
		}
		if read >= newest {
			break
		}
		if read == before { // the server that answers lags, or what was the newest has been removed
			if lagging++; lagging == lagAttempts {
				return nil, &UnavailableError{Doing: doing, Err: errLags}
			}
			pause(ctx, lagPause)
		}
	}
	states = dedupe(states)
	for i := range states {
		// On an external server, others store while this is read: LoadSink looks at the end after the position.
		l.beginAnew(&states[i])
		if l.server != nil && l.moveBack(&states[i], end) {
			if err := l.SaveSink(ctx, states[i]); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// listed is the state of a sink as a message has it; known is false if it is under a subject that no sink has.
func (l *Log) listed(m *nats.Msg) (state SinkState, known bool) {
	subject := m.Header.Get(jetstream.SubjectHeader)
	channelUID, sink, known := sinkOf(subject)
	if !known {
		l.opts.Log.Error(nil, "a position is under a subject that no sink has; it is left alone", "subject", subject)
		return SinkState{}, false
	}
	return l.decoded(m.Data, channelUID, sink), true
}

// decoded is a sink's stored state. A sink whose position cannot be decoded begins at the oldest event that is kept: better delivered twice than not
// at all.
func (l *Log) decoded(value []byte, channelUID, sink string) SinkState {
	state, err := decodeSink(value, channelUID, sink)
	if err != nil {
		log := l.opts.Log.WithValues("channelUID", channelUID, "sink", sink)
		if state.Name != "" {
			log = log.WithValues("channel", state.Namespace+"/"+state.Name)
		}
		log.Error(err, "a sink's position is lost; all events that are kept are delivered to it, again if it had them")
		state.Epoch = l.Epoch()
	}
	return state
}

// sinksFilter is for the states of all sinks.
const sinksFilter = sinksPrefix + "*.*"

// beginAnew takes the position in a log that was lost to the beginning of the one that took its place: all of it is new.
func (l *Log) beginAnew(state *SinkState) {
	if epoch := l.Epoch(); state.Epoch != 0 && state.Epoch != epoch {
		state.Position, state.Behind, state.Epoch = Position{}, nil, epoch
	}
}

// moveBack takes a position beyond the log's end back to it, and says whether it had to.
func (l *Log) moveBack(state *SinkState, end uint64) bool {
	if state.Position.Sequence <= end {
		return false
	}
	l.opts.Log.Info("a sink's position was beyond the end of the event log, which has lost its newest events; it is moved back",
		"channel", state.Namespace+"/"+state.Name, "sink", state.Sink)
	state.Position.Sequence = end
	if end == 0 {
		state.Position.From = time.Time{}
	}
	maps.DeleteFunc(state.Behind, func(_ string, u Undone) bool { return u.Sequence > end })
	for lane, u := range state.Behind {
		u.Pending = 0 // some of them may be what was lost
		state.Behind[lane] = u
	}
	return true
}

// dedupe keeps the newest state of each sink: one that was saved while the list was read appears twice.
func dedupe(states []SinkState) []SinkState {
	type key struct{ uid, sink string }
	at := map[key]int{}
	var kept []SinkState
	for _, s := range states {
		k := key{s.ChannelUID, s.Sink}
		if i, ok := at[k]; ok {
			kept[i] = s
			continue
		}
		at[k] = len(kept)
		kept = append(kept, s)
	}
	return kept
}

// decodeSink decodes the stored state of a sink. With an error, it has no more than whose it is, with the channel's name if that can be decoded.
func decodeSink(value []byte, channelUID, sink string) (SinkState, error) {
	var wire sinkWire
	err := json.Unmarshal(value, &wire)
	own := wire.ChannelUID == channelUID && wire.Sink == sink
	s := SinkState{ChannelUID: channelUID, Sink: sink}
	if own && wire.Namespace != "" && wire.Name != "" {
		s.Namespace, s.Name = wire.Namespace, wire.Name
	}
	if err != nil || !own {
		return s, errors.New("a sink's stored position cannot be decoded")
	}
	s.Position.Sequence, s.Behind, s.Epoch, s.Writer, s.Failing = wire.Sequence, wire.Behind, wire.Epoch, wire.Writer, wire.Failing
	if wire.From != nil {
		s.Position.From = *wire.From
	}
	return s, nil
}
