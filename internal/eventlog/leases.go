package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leaseMaxAge is when a record that nobody renews disappears; long after everybody has seen that it is not renewed.
const leaseMaxAge = 5 * time.Minute

// ErrLeaseChanged says that somebody else has written a lease since it was read.
var ErrLeaseChanged = errors.New("the lease was changed meanwhile")

// Lease is a record by which processes divide work among themselves.
type Lease struct {
	Holder   string
	Revision uint64
}

// Leases are the records of the processes that share an external server. Every write is a compare-and-swap.
type Leases struct{ kv jetstream.KeyValue }

// OpenLeases opens the records, which only replicas that share an external server need.
func (l *Log) OpenLeases(ctx context.Context) (*Leases, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	kv, err := l.js.KeyValue(ctx, leasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = l.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: leasesBucket, TTL: leaseMaxAge, Replicas: l.opts.Replicas})
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", leasesBucket, err)
	}
	return &Leases{kv: kv}, nil
}

// All reads all leases.
func (s *Leases) All(ctx context.Context) (map[string]Lease, error) {
	watcher, err := s.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, &UnavailableError{Doing: "reading who serves what", Err: err}
	}
	defer func() { _ = watcher.Stop() }() // the server drops it by itself too
	all := map[string]Lease{}
	for {
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return nil, &UnavailableError{Doing: "reading who serves what", Err: errors.New("the subscription was closed")}
			}
			if entry == nil { // the end of what there was
				return all, nil
			}
			all[entry.Key()] = Lease{Holder: string(entry.Value()), Revision: entry.Revision()}
		case <-ctx.Done():
			return nil, &UnavailableError{Doing: "reading who serves what", Err: context.Cause(ctx)}
		}
	}
}

// Get reads one lease. It has no holder if there is none. The server that answers may lag behind its cluster: writing at the revision finds that
// out.
func (s *Leases) Get(ctx context.Context, key string) (Lease, error) {
	entry, err := s.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Lease{}, nil
	case err != nil:
		return Lease{}, &UnavailableError{Doing: "reading who serves what", Err: err}
	}
	return Lease{Holder: string(entry.Value()), Revision: entry.Revision()}, nil
}

// Put writes a lease in place of the one of the revision (0: there is none), and returns its own revision; ErrLeaseChanged if somebody else was
// faster.
func (s *Leases) Put(ctx context.Context, key, holder string, revision uint64) (next uint64, err error) {
	if revision == 0 {
		next, err = s.kv.Create(ctx, key, []byte(holder))
	} else {
		next, err = s.kv.Update(ctx, key, []byte(holder), revision)
	}
	return next, leaseError("writing who serves what", err)
}

// Drop removes the lease of the revision; ErrLeaseChanged if it is another's by now.
func (s *Leases) Drop(ctx context.Context, key string, revision uint64) error {
	return leaseError("giving back what was served", s.kv.Delete(ctx, key, jetstream.LastRevision(revision)))
}

func leaseError(doing string, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return ErrLeaseChanged
	default:
		return &UnavailableError{Doing: doing, Err: err}
	}
}
