package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DeadLetter is an event that a sink did not take.
type DeadLetter struct {
	Record
	// ID names the letter in the log; 0 before it is stored. Record.Sink is the sink.
	ID uint64
	// Sequence is the event's place among the events.
	Sequence uint64
	// StoredAt is when the event was stored, DiedAt when it was given up.
	StoredAt, DiedAt time.Time
	// Reason is why: a word of package dispatch. Problem is what the last attempt met, in words.
	Reason, Problem string
	// Attempts that were made.
	Attempts int
}

const (
	deadSequenceHeader = headerPrefix + "Dead-Sequence"
	deadStoredHeader   = headerPrefix + "Dead-Stored"
	deadReasonHeader   = headerPrefix + "Dead-Reason"
	deadProblemHeader  = headerPrefix + "Dead-Problem"
	deadAttemptsHeader = headerPrefix + "Dead-Attempts"

	// maxProblem is how much of a problem is kept, in bytes. Percent-encoded it must leave room in followRoom.
	maxProblem = 1000
)

// AddDeadLetter stores a dead letter. Storing the same event of the same sink again, within a day, does nothing.
func (l *Log) AddDeadLetter(ctx context.Context, d DeadLetter) error {
	if err := d.validate(); err != nil {
		return err
	}
	if d.ChannelUID == "" || d.Sink == "" {
		return errors.New("a dead letter needs a channel and a sink")
	}
	if l.server != nil {
		if err := l.server.roomForID(true); err != nil {
			return err
		}
	}
	if len(d.Problem) > maxProblem {
		d.Problem = strings.ToValidUTF8(d.Problem[:maxProblem], "") + "…"
	}
	m := d.message()
	m.Subject = deadSubject(d.ChannelUID, d.Sink)
	m.Header.Set(jetstream.MsgIDHeader, d.messageID())
	for name, value := range map[string]string{
		deadSequenceHeader: strconv.FormatUint(d.Sequence, 10), deadStoredHeader: d.StoredAt.UTC().Format(time.RFC3339Nano),
		deadReasonHeader: d.Reason, deadProblemHeader: d.Problem, deadAttemptsHeader: strconv.Itoa(d.Attempts),
	} {
		m.Header.Set(name, url.QueryEscape(value))
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	if _, err := l.publish(ctx, m, deadStream); err != nil {
		return classify("storing a dead letter", err)
	}
	return nil
}

// messageID recognises a letter. The event's sequence alone would not do: it begins anew where the events were lost and the letters were not.
func (d *DeadLetter) messageID() string {
	return digest("dead", d.ChannelUID, d.Sink, strconv.FormatUint(d.Sequence, 10), d.Record.ID, d.Replay, strconv.FormatInt(d.StoredAt.UnixNano(), 10))
}

// occasion identifies the replay of a letter. Its ID alone would not do: IDs begin anew where the letters were lost and the events were not.
func (d *DeadLetter) occasion() string {
	return "dead-" + strconv.FormatUint(d.ID, 10) + "-" + strconv.FormatInt(d.DiedAt.UnixNano(), 36)
}

// DeadLetterQuery chooses dead letters of a channel.
type DeadLetterQuery struct {
	ChannelUID string
	// Sink; "" means all.
	Sink string
	// After is the ID after which to begin; 0 means at From, or at the oldest.
	After uint64
	// From is the time of dying from which to begin, if After is 0.
	From time.Time
	// Limit of what is returned.
	Limit int
}

// maxDeadLetterBytes bounds one answer of DeadLetters.
const maxDeadLetterBytes = 8 << 20

// DeadLetters lists dead letters, oldest first. more says that others follow the last. That there are none is certain, also where the server of a
// cluster that answers lags behind the others, which is an error if it has none of them.
func (l *Log) DeadLetters(ctx context.Context, q DeadLetterQuery) (letters []DeadLetter, more bool, err error) {
	if !isToken(q.ChannelUID) {
		return nil, false, fmt.Errorf("the channel UID %q is not one of Kubernetes'", q.ChannelUID)
	}
	filter := deadPrefix + q.ChannelUID + ".*"
	if q.Sink != "" {
		filter = deadSubject(q.ChannelUID, q.Sink)
	}
	r := Position{Sequence: q.After, From: q.From}.request(filter)
	r.Batch, r.MaxBytes = q.Limit, maxDeadLetterBytes
	var pending uint64
	err = l.batch(ctx, deadStream, "reading dead letters", r, func(m *nats.Msg, following uint64) error {
		letter, err := decodeDeadLetter(m)
		letters, pending = append(letters, letter), following
		return err
	})
	if err != nil || pending > 0 {
		return letters, err == nil, err
	}
	last := Position{Sequence: q.After, From: q.From}
	if n := len(letters); n > 0 {
		last = Position{Sequence: letters[n-1].ID}
	}
	switch err := l.confirmEnd(ctx, deadStream, filter, last); {
	case errors.Is(err, errLags) && len(letters) > 0:
		return letters, true, nil
	case err != nil:
		return nil, false, err
	}
	return letters, false, nil
}

// DeadLetter reads one; nil if there is none of that ID, which is certain.
func (l *Log) DeadLetter(ctx context.Context, id uint64) (*DeadLetter, error) {
	m, err := l.get(ctx, deadStream, getRequest{Sequence: id})
	if m == nil && err == nil {
		err = l.confirmAbsent(ctx, deadStream, id)
	}
	if m == nil || err != nil {
		return nil, err
	}
	letter, err := decodeDeadLetter(m)
	return &letter, err
}

func decodeDeadLetter(m *nats.Msg) (DeadLetter, error) {
	event, err := stored(m)
	if err != nil {
		return DeadLetter{}, err
	}
	d := DeadLetter{Record: event.Record, ID: event.Sequence, DiedAt: event.StoredAt}
	field := func(name string) string {
		v, err := url.QueryUnescape(m.Header.Get(name))
		if err != nil {
			return ""
		}
		return v
	}
	// What cannot be read is left empty, as in a record.
	d.Sequence, _ = strconv.ParseUint(field(deadSequenceHeader), 10, 64)
	d.StoredAt, _ = time.Parse(time.RFC3339Nano, field(deadStoredHeader))
	d.Attempts, _ = strconv.Atoi(field(deadAttemptsHeader))
	d.Reason, d.Problem = field(deadReasonHeader), field(deadProblemHeader)
	return d, nil
}

// Revive puts the event of a dead letter at the end of its lane, for its sink alone, marked as a replay, and removes the letter. Doing so
// again, after an error or at the same time elsewhere, delivers nothing twice.
func (l *Log) Revive(ctx context.Context, d DeadLetter) error {
	record := d.Record
	record.Replay = d.occasion()
	if _, err := l.Append(ctx, record); err != nil {
		return fmt.Errorf("replaying a dead letter: %w", err)
	}
	return l.deleteMessage(ctx, deadStream, d.ID, "removing a dead letter that was replayed")
}

// deleteMessage removes a message of a stream; one that is gone already is no error.
func (l *Log) deleteMessage(ctx context.Context, stream string, sequence uint64, doing string) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	err := l.streams[stream].DeleteMsg(ctx, sequence)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return &UnavailableError{Doing: doing, Err: err}
	}
	return nil
}
