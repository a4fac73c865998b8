package eventlog

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// SendMaxAge is how long it is remembered what became of a message that an application sent: as long as a conversation's window.
const SendMaxAge = 48 * time.Hour

// ErrSendChanged says that somebody else has written about the same message since it was read.
var ErrSendChanged = errors.New("what is remembered of the message was changed meanwhile")

// LoadSend reads what is remembered of a message that an application sent. Revision 0 means that nothing is.
func (l *Log) LoadSend(ctx context.Context, id string) (value []byte, revision uint64, err error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	entry, err := l.sends.Get(ctx, digest("send", id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, classify("reading what is remembered of a message", err)
	}
	return entry.Value(), entry.Revision(), nil
}

// SaveSend remembers something of a message that an application sends, in place of what was read at the revision (0: nothing was). It is
// stored when SaveSend returns. If somebody else was faster, the error is ErrSendChanged.
func (l *Log) SaveSend(ctx context.Context, id string, value []byte, revision uint64) (next uint64, err error) {
	if id == "" {
		return 0, errors.New("a message needs an id to be remembered")
	}
	if l.server != nil {
		if err := l.server.room(); err != nil {
			return 0, err
		}
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	key := digest("send", id)
	if revision == 0 {
		next, err = l.sends.Create(ctx, key, value)
	} else {
		next, err = l.sends.Update(ctx, key, value, revision)
	}
	var api *jetstream.APIError
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return 0, ErrSendChanged
	default:
		return 0, classify("remembering a message", err)
	}
}
