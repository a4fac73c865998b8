package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// UseOnce says whether an id is used for the first time, atomically over all processes and restarts. until is when the id stops being valid
// by itself: it must not be farther away than OnceMaxAge, for which ids are remembered. After an error, the id may count as used.
func (l *Log) UseOnce(ctx context.Context, id string, until time.Time) (first bool, err error) {
	if id == "" {
		return false, errors.New("a single-use id must not be empty")
	}
	if ahead := until.Sub(l.opts.Clock.Now()); ahead > OnceMaxAge {
		return false, fmt.Errorf("a single-use id may be valid for %s at most, not for %s", OnceMaxAge, ahead)
	}
	if l.server != nil {
		if err := l.server.room(); err != nil {
			return false, err
		}
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	_, err = l.once.Create(ctx, digest("once", id), nil)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return false, nil
	}
	if err != nil {
		return false, classify("using a single-use id", err)
	}
	return true, nil
}
