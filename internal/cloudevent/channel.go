package cloudevent

import (
	"encoding/json"
	"fmt"
	"time"
)

// Types of the operator's own events about the channel itself. TikTok's events never have a type of the operator's own, whatever they say: which
// of the two an event is stands beside its body, not in it.
const (
	// TypeChannelAuthorized: a person authorized the channel, for the first time or again.
	TypeChannelAuthorized = "io.tiktok-operator.channel.authorized"
	// TypeChannelReauthorizationRequired: the channel was authorized, and a person must authorize it again.
	TypeChannelReauthorizationRequired = "io.tiktok-operator.channel.reauthorization_required"
)

// ChannelEvent is an event of the operator's own about the channel itself, as the event log keeps it.
type ChannelEvent struct {
	// Type is one of the types above.
	Type string `json:"type"`
	// Time is when it happened.
	Time time.Time   `json:"time"`
	Data ChannelData `json:"data"`
}

// ChannelData is the data of a ChannelEvent: the channel's status at that time. The link that starts an authorization is a credential and
// not among it: who may read the channel finds it there.
type ChannelData struct {
	// BusinessID is the business account.
	BusinessID string `json:"businessID,omitempty"`
	// Username is its handle.
	Username string `json:"username,omitempty"`
	// DisplayName is its name.
	DisplayName string `json:"displayName,omitempty"`
	// Reason is why a person must authorize the channel again, as the reason of its condition ReauthorizationRequired.
	Reason string `json:"reason,omitempty"`
	// Message says that in words.
	Message string `json:"message,omitempty"`
	// GrantedScopes are the permissions that TikTok granted.
	GrantedScopes []string `json:"grantedScopes,omitempty"`
	// AccessTokenExpiresAt is when the access token ends.
	AccessTokenExpiresAt *time.Time `json:"accessTokenExpiresAt,omitempty"`
}

// Body is the event as the event log keeps it.
func (e ChannelEvent) Body() ([]byte, error) {
	body, err := marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an event about a channel: %w", err)
	}
	return body, nil
}

// normalizeOwn reads what Body wrote, of whichever type. Fields and types of a later version pass through; what cannot be read is TypeUnknown.
func normalizeOwn(in Input) (Event, error) {
	var stored struct {
		Type string          `json:"type"`
		Time time.Time       `json:"time"`
		Data json.RawMessage `json:"data"`
	}
	var data struct {
		BusinessID     string `json:"businessID"`
		ConversationID string `json:"conversationID"`
	}
	e := Event{ID: in.ID, Source: Source(in.Namespace, in.Name), Type: TypeUnknown, Time: in.ReceivedAt, Trace: in.Trace}
	if json.Unmarshal(in.Body, &stored) != nil || json.Unmarshal(stored.Data, &data) != nil || stored.Type == "" || !isAttribute(stored.Type) {
		unreadable, err := marshal(Data{Undecodable: true, Raw: rawJSON(in.Body)})
		if err != nil {
			return Event{}, fmt.Errorf("encoding an event's data: %w", err)
		}
		e.Data = unreadable
		return e, nil
	}
	e.Type, e.Data, e.Subject = stored.Type, stored.Data, attribute(data.ConversationID)
	if e.PartitionKey = e.Subject; e.PartitionKey == "" {
		e.PartitionKey = attribute(data.BusinessID)
	}
	if !stored.Time.IsZero() {
		e.Time = stored.Time
	}
	return e, nil
}
