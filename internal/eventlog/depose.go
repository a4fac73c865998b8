package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// codeInProcess is JetStream's "duplicate message id is in process": the leader of a stream says that it is storing the message already.
const codeInProcess jetstream.ErrorCode = 10158

const (
	// defaultProcessPatience is how long a leader may be storing one message. Without most of its servers it gives up leading sooner.
	defaultProcessPatience = 10 * time.Second
	// deposeEvery is how often the same stream is given another leader at most.
	deposeEvery = time.Minute
)

// inProcess is a message that the leader of a stream says it is storing already.
type inProcess struct {
	stream  string
	message *nats.Msg
}

// isInProcess says whether that is what an error says.
func isInProcess(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeInProcess
}

// doubt takes note of a message that is said to be in process. That is so where a repetition comes too soon, and over in a moment. But a server that
// lost its lead while it was storing may keep the ids of what it then did not store, and should it lead again, it refuses these messages for as long
// as the stream recognises duplicates: for days. One such message is enough to find that out.
func (l *Log) doubt(stream string, m *nats.Msg) {
	select {
	case l.doubts <- inProcess{stream, m}:
	default:
	}
}

// deposeStuck gives a stream whose leader refuses messages for good another one, until the context ends. The other one has not begun to store them.
func (l *Log) deposeStuck(ctx context.Context) {
	deposed := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-l.doubts:
			if at, ok := deposed[d.stream]; ok && l.opts.Clock.Since(at) < deposeEvery {
				continue
			}
			pause(ctx, l.opts.processPatience)
			if !l.isStuck(ctx, d) {
				continue
			}
			deposed[d.stream] = l.opts.Clock.Now()
			if err := l.depose(ctx, d.stream); err != nil {
				l.opts.Log.Error(err, "the leader of a stream refuses messages as being stored already, and could not be replaced; "+
					"have another server lead it: nats stream cluster step-down", "stream", d.stream)
				continue
			}
			l.opts.Log.Info("the leader of a stream refused messages as being stored already, of which it has stored none for a while; "+
				"another server leads it now", "stream", d.stream)
		}
	}
}

// isStuck tries a message once more. If it is stored now, whoever comes with it again learns that.
func (l *Log) isStuck(ctx context.Context, d inProcess) bool {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	_, err := l.request(ctx, d.message, d.stream)
	return isInProcess(err)
}

// depose has the leader of a stream step down.
func (l *Log) depose(ctx context.Context, stream string) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	m, err := l.conn.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
	if err != nil {
		return fmt.Errorf("asking the leader to step down: %w", err)
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if answer.Error != nil {
		return fmt.Errorf("asking the leader to step down: %w", answer.Error)
	}
	return nil
}
