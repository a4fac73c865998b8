package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// errLags says that the server that answered a read has not received yet what its cluster stored.
var errLags = errors.New("the server that was asked lags behind its cluster")

// A reader that lags is asked again soon, a few times, before that is an error.
const (
	lagAttempts = 4
	lagPause    = 50 * time.Millisecond
)

// codeNoMessage is JetStream's "no message found".
const codeNoMessage jetstream.ErrorCode = 10037

// confirmEnd makes certain that nothing of the filter follows a position. Any server of a cluster answers reads, one that was cut off for a
// while too, and finds nothing where it lags; whoever believed that would skip what was acknowledged. The leader of the stream does not lag.
func (l *Log) confirmEnd(ctx context.Context, stream, filter string, after Position) error {
	if l.server != nil {
		return nil // it is the only one
	}
	sequence, at, err := l.newestOfLeader(ctx, stream, filter)
	switch {
	case err != nil:
		return err
	case sequence <= after.Sequence, after.Sequence == 0 && at.Before(after.From):
		return nil
	default:
		return &UnavailableError{Doing: "reading events", Err: errLags}
	}
}

// confirmAbsent makes certain that a stream has no message of a sequence, as confirmEnd does.
func (l *Log) confirmAbsent(ctx context.Context, stream string, sequence uint64) error {
	if l.server != nil {
		return nil
	}
	found, _, err := l.askLeader(ctx, stream, getRequest{Sequence: sequence})
	if err == nil && found > 0 {
		err = &UnavailableError{Doing: "reading a message", Err: errLags}
	}
	return err
}

// newestOfLeader asks a stream's leader for the newest message of a filter; 0 if there is none.
func (l *Log) newestOfLeader(ctx context.Context, stream, filter string) (sequence uint64, at time.Time, err error) {
	return l.askLeader(ctx, stream, getRequest{LastFor: filter})
}

// askLeader asks a stream's leader for a message; 0 if there is none.
func (l *Log) askLeader(ctx context.Context, stream string, r getRequest) (sequence uint64, at time.Time, err error) {
	const doing = "asking a stream's leader for a message"
	query, err := json.Marshal(r)
	if err != nil {
		return 0, at, fmt.Errorf("%s: %w", doing, err)
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	m, err := l.readConn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, query)
	if err != nil {
		return 0, at, &UnavailableError{Doing: doing, Err: err}
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64    `json:"seq"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, at, &UnavailableError{Doing: doing, Err: err}
	}
	if answer.Error != nil && answer.Error.ErrorCode != codeNoMessage {
		return 0, at, &UnavailableError{Doing: doing, Err: answer.Error}
	}
	return answer.Message.Sequence, answer.Message.Time, nil
}
