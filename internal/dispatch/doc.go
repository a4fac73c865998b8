// Package dispatch delivers stored events to the sinks of their channels: at least once, in the order of the log per channel and sink, with
// retries until a sink has taken them. A sink that is dead, slow or misconfigured delays no other.
//
// Each sink has a worker, which is a small struct while there is nothing to do, and a goroutine while there is: no polling, no subscription of
// its own. What is new, the event log tells the Dispatcher for all of them; how far a sink has come is a position in the event log, which
// survives restarts. A new sink begins with what was stored shortly before it was first seen.
//
// The package must not change events, nor write to the API server. It drops no event: nothing but a 2xx answer ends a delivery.
package dispatch

// The dispatcher reads channels through its cache; Services and Secrets of sinks by name.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch
