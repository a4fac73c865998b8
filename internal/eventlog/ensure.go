package eventlog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// clusterReplicas are the copies on a cluster where Options do not say.
	clusterReplicas = 3
	// setupRetry is the wait while a cluster that has just come up cannot place a stream yet.
	setupRetry = time.Second
	// setupTry bounds one question.
	setupTry = 5 * time.Second
	// placeWithin is for how long that is waited for.
	placeWithin = time.Minute
)

// JetStream's error codes of a cluster that is not complete (yet).
const (
	codeNoPeers       jetstream.ErrorCode = 10005
	codeNotAvailable  jetstream.ErrorCode = 10008
	codeNoLeader      jetstream.ErrorCode = 10009
	codeStreamOffline jetstream.ErrorCode = 10118
)

// ensureStreams creates the streams and buckets, or updates them in place.
func (l *Log) ensureStreams(ctx context.Context) error {
	for _, config := range streamConfigs(&l.opts) {
		stream, err := l.ensureStream(ctx, config)
		if err != nil {
			return fmt.Errorf("creating or updating the stream %s: %w", config.Name, err)
		}
		if l.streams[config.Name] == nil { // the handle of an earlier one of the name will do
			l.streams[config.Name] = stream
		}
		if config.Name == eventsStream {
			l.setEpoch(stream.CachedInfo().Created)
		}
	}
	for _, config := range l.buckets() {
		if err := l.persist(ctx, func(ctx context.Context) error { return l.ensureBucket(ctx, config) }); err != nil {
			return fmt.Errorf("creating or updating the bucket %s: %w", config.Bucket, err)
		}
	}
	return nil
}

func (l *Log) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	var stream jetstream.Stream
	err := l.persist(ctx, func(ctx context.Context) (err error) {
		stream, err = l.tryStream(ctx, want)
		return err
	})
	return stream, explain(err, want.Replicas)
}

// persist tries until a cluster that has just come up can do it. It does not answer everything that it was asked before it was complete.
func (l *Log) persist(ctx context.Context, try func(context.Context) error) error {
	if l.server != nil {
		return try(ctx)
	}
	for began := l.opts.Clock.Now(); ; pause(ctx, setupRetry) {
		bounded, cancel := context.WithTimeout(ctx, setupTry)
		err := try(bounded)
		cancel()
		if err == nil || ctx.Err() != nil || !passing(err) || l.opts.Clock.Since(began) > placeWithin {
			return err
		}
	}
}

// passing says that an error is one of a cluster that is coming up, or of another replica that was faster.
func passing(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	}
	switch api.ErrorCode {
	case codeNoPeers, codeInsufficientResources, codeNotAvailable, codeNoLeader, codeStreamOffline, jetstream.JSErrCodeStreamNameInUse:
		return true
	default:
		return false
	}
}

func explain(err error, replicas int) error {
	var api *jetstream.APIError
	if replicas > 1 && errors.As(err, &api) && (api.ErrorCode == codeNoPeers || api.ErrorCode == codeInsufficientResources) {
		return fmt.Errorf("%d servers should keep a copy each, and the cluster has not got so many with room: %w", replicas, err)
	}
	return err
}

func (l *Log) tryStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	existing, err := l.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return l.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	have := existing.CachedInfo()
	l.tellLess(have, &want)
	updated, err := l.js.UpdateStream(ctx, formed(have.Config, &want))
	if err != nil {
		return nil, err
	}
	if changed := differing(have.Config, updated.CachedInfo().Config); len(changed) > 0 {
		l.opts.Log.Info("the configuration of a stream is changed to the form that is needed", "stream", want.Name, "settings", changed)
	}
	return updated, nil
}

// formed is an existing stream's configuration in the form that the log needs. What decides which messages are kept, for how long, and how they
// are found is the log's; what else an administrator has set is left as it is.
func formed(have jetstream.StreamConfig, want *jetstream.StreamConfig) jetstream.StreamConfig {
	c := have
	c.Description, c.Subjects, c.SubjectTransform, c.Mirror = want.Description, want.Subjects, want.SubjectTransform, want.Mirror
	c.Storage, c.Replicas, c.NoAck, c.AllowDirect = want.Storage, want.Replicas, want.NoAck, want.AllowDirect
	c.Retention, c.Discard, c.DiscardNewPerSubject, c.Duplicates = want.Retention, want.Discard, want.DiscardNewPerSubject, want.Duplicates
	c.MaxAge, c.MaxBytes, c.MaxMsgs = want.MaxAge, want.MaxBytes, want.MaxMsgs
	c.MaxMsgsPerSubject, c.MaxMsgSize = want.MaxMsgsPerSubject, want.MaxMsgSize
	return c
}

// differing names the settings that differ, but for metadata, some of which is the server's.
func differing(before, after jetstream.StreamConfig) (names []string) {
	before.Metadata, after.Metadata = nil, nil
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		if !reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface()) {
			names = append(names, b.Type().Field(i).Name)
		}
	}
	return names
}

// tellLess says so where a stream is to keep less than it did: nothing is given up in silence.
func (l *Log) tellLess(have *jetstream.StreamInfo, want *jetstream.StreamConfig) {
	log := l.opts.Log.WithValues("stream", want.Name)
	if old := have.Config.MaxAge; want.MaxAge > 0 && (old == 0 || old > want.MaxAge) {
		log.Info("the stream keeps events for a shorter time from now on, and what is older is removed, delivered or not",
			"before", old.String(), "from now on", want.MaxAge.String())
	}
	if old := have.Config.Replicas; old > want.Replicas {
		log.Info("fewer servers keep a copy of the stream from now on", "before", old, "from now on", want.Replicas)
	}
	if want.MaxBytes > 0 && have.State.Bytes > uint64(want.MaxBytes) {
		log.Info("the stream holds more than it may from now on: nothing is removed, and nothing taken until enough has reached its age",
			"holds", have.State.Bytes, "limit", want.MaxBytes)
	}
}

// setReplicas decides on how many servers keep a copy: what the options say, else three on a cluster, and never fewer than do already.
func (l *Log) setReplicas(ctx context.Context) error {
	if l.opts.Replicas > 0 {
		return nil
	}
	l.opts.Replicas = 1
	if l.server != nil {
		return nil
	}
	if l.conn.ConnectedClusterName() != "" {
		l.opts.Replicas = clusterReplicas
	}
	err := l.persist(ctx, func(ctx context.Context) error {
		existing, err := l.js.Stream(ctx, eventsStream)
		if err == nil {
			l.opts.Replicas = max(l.opts.Replicas, existing.CachedInfo().Config.Replicas)
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("looking at the stream %s: %w", eventsStream, err)
	}
	return nil
}
