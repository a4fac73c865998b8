// Package sinkapi tells programs how a channel's sinks are and how much waits for each.
package sinkapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/channelapi"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Subresource of tiktokchannels that callers must be allowed to list.
const Subresource = "sinks"

// ListPattern for a http.ServeMux. The names of its wildcards are what package access reads.
const ListPattern = "GET /v1/namespaces/{namespace}/channels/{name}/sinks"

// maxLanes are counted of a sink's conversations that lag behind the others, each of which costs a request.
const maxLanes = 200

// List is an answer.
type List struct {
	// Items are the sinks of the channel's spec, in its order.
	Items []Sink `json:"items"`
}

// Sink is one of a channel's.
type Sink struct {
	// Name is the sink's in the channel's spec.
	Name string `json:"name"`
	// State is Healthy or Failing.
	State v1alpha1.SinkState `json:"state"`
	// Since is when that began; absent of a sink that never failed.
	Since *time.Time `json:"since,omitempty"`
	// Message says in a sentence what the attempts met.
	Message string `json:"message,omitempty"`
	// Pending is how many stored events the sink has not taken, as of some seconds ago. Absent until the sink's first delivery is due.
	Pending *int `json:"pending,omitempty"`
	// AtLeast says that more may wait than Pending says.
	AtLeast bool `json:"atLeast,omitempty"`
	// OldestAt is when the oldest event that waits was received; absent if none does.
	OldestAt *time.Time `json:"oldestAt,omitempty"`
}

// Log is what the API needs of the event log. *eventlog.Log is one.
type Log interface {
	LoadSink(ctx context.Context, channelUID, sink string) (state eventlog.SinkState, revision uint64, err error)
	Pending(ctx context.Context, channelUID string, after eventlog.Position) (eventlog.Backlog, error)
	CountLane(ctx context.Context, channelUID, lane string, first, last uint64) (uint64, error)
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
}

// API serves the pattern. Every replica can: it counts in the event log, not in the memory of the one that delivers.
type API struct {
	// Reader reads channels.
	Reader client.Reader
	Events Log
	Logger logr.Logger
}

// Routes are the calls.
func (a *API) Routes() []channelapi.Route {
	return []channelapi.Route{{Pattern: ListPattern, Verb: "list", Subresource: Subresource, Handle: a.List}}
}

// List answers with the channel's sinks.
func (a *API) List(w http.ResponseWriter, r *http.Request) {
	channelapi.Endpoint{Reader: a.Reader, Logger: a.Logger}.Serve(w, r, func(ctx context.Context, ch *v1alpha1.TiktokChannel) (int, any, error) {
		list := List{Items: []Sink{}}
		for i := range ch.Spec.Sinks {
			sink := describe(ch, ch.Spec.Sinks[i].Name)
			if err := a.count(ctx, ch, &sink); err != nil {
				return 0, nil, err
			}
			list.Items = append(list.Items, sink)
		}
		return http.StatusOK, list, nil
	})
}

// describe says of a sink what the channel's status says. One that never failed is not in it.
func describe(ch *v1alpha1.TiktokChannel, name string) Sink {
	for _, s := range ch.Status.Sinks {
		if s.Name == name {
			return Sink{Name: name, State: s.State, Since: &s.Since.Time, Message: s.Message}
		}
	}
	return Sink{Name: name, State: v1alpha1.SinkHealthy}
}

// count finds what waits for a sink: what follows its position, and what its conversations that lag have before that.
func (a *API) count(ctx context.Context, ch *v1alpha1.TiktokChannel, sink *Sink) error {
	uid := string(ch.UID)
	state, revision, err := a.Events.LoadSink(ctx, uid, sink.Name)
	if err != nil {
		return fmt.Errorf("reading the position of sink %s: %w", sink.Name, err)
	}
	if revision == 0 {
		return nil
	}
	following, err := a.Events.Pending(ctx, uid, state.Position)
	if err != nil {
		return fmt.Errorf("counting what waits for sink %s: %w", sink.Name, err)
	}
	pending, first, counted := following.Count, uint64(math.MaxUint64), 0
	sink.AtLeast = !following.Exact
	for lane, undone := range state.Behind {
		first = min(first, undone.Sequence)
		if counted++; counted > maxLanes {
			pending, sink.AtLeast = pending+1, true
			continue
		}
		n, err := a.Events.CountLane(ctx, uid, lane, undone.Sequence, state.Position.Sequence)
		if err != nil {
			return fmt.Errorf("counting what waits for sink %s: %w", sink.Name, err)
		}
		pending += n
	}
	sink.Pending = ptr.To(int(pending))
	if pending == 0 {
		return nil
	}
	oldest := state.Position
	if len(state.Behind) > 0 {
		oldest = eventlog.Position{Sequence: first - 1}
	}
	events, _, err := a.Events.Events(ctx, eventlog.Query{ChannelUID: uid, After: oldest, Limit: 1, MaxBytes: 1})
	if err != nil {
		return fmt.Errorf("reading the oldest event that waits for sink %s: %w", sink.Name, err)
	}
	if len(events) > 0 {
		sink.OldestAt = &events[0].ReceivedAt
	}
	return nil
}
