// Package ingest receives TikTok's webhooks: it verifies them, finds the channel they are for, and answers 200 once the event log has stored
// them. It owns the order of those steps and what the sender is told.
//
// It must not deliver anything, nor change what TikTok sent. Nothing that is not verified reaches a lookup of channels or the log.
package ingest

// The webhook binary reads apps and channels through its cache, and each app's Secret by name.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokapps;tiktokchannels,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
