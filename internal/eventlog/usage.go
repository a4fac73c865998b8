package eventlog

import (
	"context"
	"errors"
	"math"

	"github.com/nats-io/nats.go/jetstream"
)

// Usage is how much a part of the log holds, and may hold.
type Usage struct {
	// Part of the log: events, unrouted, dead_letters or jobs; or ids, those by which an embedded log recognises duplicates, in memory.
	Part string
	// Bytes that are stored; of ids, what they may take of the memory.
	Bytes uint64
	// Limit is how many bytes may be stored: beyond it, nothing more is taken. It is what the options say, or what is left of the disk of an
	// embedded log if that is less; 0 if neither bounds it, as with an external server, whose own limits are not known here. Of ids, it follows from
	// the memory limit.
	Limit uint64
}

// measuredStreams are the parts that grow with what arrives, and refuse it when they are full.
var measuredStreams = []struct{ part, stream string }{
	{"events", eventsStream}, {"unrouted", unroutedStream}, {"dead_letters", deadStream}, {"jobs", jobsStream},
}

// Usage measures the log. Parts that cannot be asked about just now are left out, and the error says why.
func (l *Log) Usage(ctx context.Context) ([]Usage, error) {
	left := uint64(math.MaxUint64)
	if l.server != nil {
		var err error
		if left, err = l.server.guard.left(); err != nil {
			return nil, err
		}
	} else if !l.conn.IsConnected() {
		return nil, &UnavailableError{Doing: "measuring the event log", Err: errors.New("there is no connection to the NATS server")}
	}
	var all []Usage
	var errs []error
	for _, m := range measuredStreams {
		stream, err := l.js.Stream(ctx, m.stream)
		if err != nil {
			errs = append(errs, &UnavailableError{Doing: "looking at the stream " + m.stream, Err: err})
			continue
		}
		all = append(all, usage(m.part, stream.CachedInfo(), left))
	}
	if l.server != nil {
		all = append(all, Usage{Part: "ids", Bytes: l.server.ids.held() * bytesPerID, Limit: l.server.ids.limit * bytesPerID})
	}
	return all, errors.Join(errs...)
}

func usage(part string, info *jetstream.StreamInfo, left uint64) Usage {
	u := Usage{Part: part, Bytes: info.State.Bytes}
	if most := info.Config.MaxBytes; most > 0 {
		u.Limit = uint64(most)
	}
	if left != math.MaxUint64 && (u.Limit == 0 || u.Bytes+left < u.Limit) {
		u.Limit = max(u.Bytes+left, 1) // 0 would mean no limit
	}
	return u
}
