// Package dispatch delivers stored events to the sinks of their channels: at least once, in the order of the log within a conversation (a lane),
// lanes in parallel, with retries. A sink that is dead, slow or misconfigured delays no other, nor does a conversation another one.
//
// Each sink has a worker, which is a small struct while there is nothing to do: no polling, no subscription of its own. What is new, the event
// log tells the Dispatcher for all of them. A worker reads ahead, hands events to their lanes and delivers those that are ready; it holds a
// bounded number of events, and none of a lane that waits. How far a sink has come is a position in the event log and the lanes that are behind
// it, which survives restarts. A new sink begins with what was stored shortly before it was first seen.
//
// The package must not change events, nor write to the API server. It drops no event: a delivery ends with a 2xx answer, or with a dead letter
// that is stored.
package dispatch

// The dispatcher reads channels through its cache; Services and Secrets of sinks by name.
//
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch
