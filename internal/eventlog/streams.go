package eventlog

import "github.com/nats-io/nats.go/jetstream"

// minUnroutedBytes is the least room for events of unknown businesses where the log is bounded; else an eighth of its size.
const minUnroutedBytes = 16 << 20

// streamConfigs are the streams as the options want them. ensureStream changes existing ones in place.
func streamConfigs(o *Options) []jetstream.StreamConfig {
	maxBytes, maxUnrouted, maxDead := int64(-1), int64(-1), int64(-1)
	if o.MaxBytes > 0 {
		maxBytes, maxUnrouted, maxDead = o.MaxBytes, max(o.MaxBytes/8, minUnroutedBytes), max(o.MaxBytes/2, minUnroutedBytes)
	}
	sinks := jetstream.StreamConfig{
		Name: sinksStream, Subjects: []string{sinksPrefix + "*.*"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		Description:       "How far each sink has come.",
		MaxMsgsPerSubject: 1, AllowDirect: true,
	}
	if o.URL == "" {
		// A position lost in a power cut costs a repeated delivery; an fsync a delivery would cost every one.
		sinks.PersistMode = jetstream.AsyncPersistMode
	}
	return []jetstream.StreamConfig{
		{
			Name: eventsStream, Subjects: []string{eventsPrefix + "*.*"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
			Description: "Webhooks of known channels.",
			MaxAge:      o.MaxAge, MaxBytes: maxBytes, Discard: jetstream.DiscardNew, Duplicates: o.DedupWindow, AllowDirect: true,
		},
		{
			Name: unroutedStream, Subjects: []string{unroutedPrefix + "*.*"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
			Description: "Webhooks of businesses that no channel holds yet.",
			MaxAge:      UnroutedMaxAge, MaxBytes: maxUnrouted, Discard: jetstream.DiscardNew, Duplicates: UnroutedMaxAge, AllowDirect: true,
		},
		sinks,
		jobsConfig(o),
		{
			Name: deadStream, Subjects: []string{deadPrefix + "*.*"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
			Description: "Events that a sink did not take.",
			MaxAge:      DeadLetterMaxAge, MaxBytes: maxDead, Discard: jetstream.DiscardNew, Duplicates: deadDedupWindow, AllowDirect: true,
		},
	}
}
