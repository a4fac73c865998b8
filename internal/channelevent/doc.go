// Package channelevent tells a channel's sinks what happens to the channel itself: that it was authorized, and that a person must authorize
// it again. The manager, which brings both about, and the webhook deployment, which delivers events, meet in the channel's status: a
// controller here reads it and appends to the event log.
//
// Each occurrence has an id made of what identifies it, so that every replica, and every restart, appends the same event, and the log drops
// the repeats. It does so for its deduplication window only; hence what happened longer ago is not told any more. That also keeps a new
// installation from announcing what was authorized long before.
//
// It writes nothing to the API server, and puts no link that starts an authorization into an event.
package channelevent

// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch
