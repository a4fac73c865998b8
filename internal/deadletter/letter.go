package deadletter

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// List is a page of dead letters.
type List struct {
	// Items are the dead letters.
	Items []Letter `json:"items"`
	// Continue asks for the next page; absent on the last.
	Continue string `json:"continue,omitempty"`
}

// Letter is a dead letter.
type Letter struct {
	// ID names it in this API.
	ID string `json:"id"`
	// Sink that did not take the event.
	Sink string `json:"sink"`
	// Reason why it was given up: rejected, attempts_exhausted, too_old or invalid.
	Reason string `json:"reason"`
	// Problem that the last attempt met.
	Problem string `json:"problem,omitempty"`
	// Attempts that were made.
	Attempts int `json:"attempts"`
	// StoredAt is when the event was stored.
	StoredAt time.Time `json:"storedAt"`
	// DiedAt is when it was given up.
	DiedAt time.Time `json:"diedAt"`
	// Event that was to be delivered.
	Event Event `json:"event"`

	data json.RawMessage
}

// Event is the event of a dead letter, as it would be delivered.
type Event struct {
	// ID of the CloudEvent.
	ID string `json:"id"`
	// Type of the CloudEvent.
	Type string `json:"type"`
	// Subject of the CloudEvent: the conversation.
	Subject string `json:"subject,omitempty"`
	// Data is left out in lists.
	Data json.RawMessage `json:"data,omitempty"`
}

// Replayed is the answer to a replay.
type Replayed struct {
	// Replayed is how many events are on their way.
	Replayed int `json:"replayed"`
	// Skipped is how many were passed over, and stay, since the channel has no sink of their name any more, or the sink does not want their type.
	Skipped int `json:"skipped,omitempty"`
	// More says that the query chooses others: repeat the request.
	More bool `json:"more,omitempty"`
}

func summarize(ch *v1alpha1.TiktokChannel, d eventlog.DeadLetter) Letter {
	letter := Letter{
		ID: strconv.FormatUint(d.ID, 10), Sink: d.Sink, Reason: d.Reason, Problem: d.Problem, Attempts: d.Attempts,
		StoredAt: d.StoredAt, DiedAt: d.DiedAt, Event: Event{ID: d.Record.ID, Type: cloudevent.TypeUnknown},
	}
	event, err := cloudevent.Normalize(cloudevent.Input{
		ID: d.Record.ID, Namespace: ch.Namespace, Name: ch.Name, Own: d.Own, Body: d.Body, ReceivedAt: d.ReceivedAt,
	})
	if err == nil { // else there is nothing to show: it is why the event died
		letter.Event.Type, letter.Event.Subject, letter.data = event.Type, event.Subject, event.Data
	}
	return letter
}
