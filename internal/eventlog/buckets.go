package eventlog

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// buckets are the key-value buckets as the options want them.
func (l *Log) buckets() []jetstream.KeyValueConfig {
	all := []jetstream.KeyValueConfig{
		{Bucket: onceBucket, Description: "Single-use ids.", TTL: OnceMaxAge},
		{Bucket: sendsBucket, Description: "What became of messages that applications sent.", TTL: SendMaxAge},
	}
	if l.server == nil {
		all = append(all, jetstream.KeyValueConfig{Bucket: leasesBucket, Description: "Which replica serves which channels.", TTL: leaseMaxAge})
	}
	return all
}

// ensureBucket creates a bucket, or updates it in place. What an administrator has set otherwise is left as it is.
func (l *Log) ensureBucket(ctx context.Context, want jetstream.KeyValueConfig) error {
	kv, err := l.js.KeyValue(ctx, want.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		want.Storage, want.Replicas = jetstream.FileStorage, l.opts.Replicas
		return l.openBucket(l.js.CreateOrUpdateKeyValue(ctx, want))
	}
	if err != nil {
		return err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return err
	}
	config := status.Config()
	config.Description, config.TTL, config.Replicas = want.Description, want.TTL, l.opts.Replicas
	return l.openBucket(l.js.UpdateKeyValue(ctx, config))
}

// openBucket keeps the handle of a bucket; that of an earlier one of the name will do.
func (l *Log) openBucket(kv jetstream.KeyValue, err error) error {
	if err != nil {
		return err
	}
	switch bucket := kv.Bucket(); {
	case bucket == onceBucket && l.once == nil:
		l.once = kv
	case bucket == sendsBucket && l.sends == nil:
		l.sends = kv
	}
	return nil
}
