package cloudevent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// Input of Normalize.
type Input struct {
	// ID of the event; it becomes the CloudEvent's.
	ID string
	// Namespace and Name of the channel.
	Namespace, Name string
	// Body is TikTok's request body.
	Body []byte
	// ReceivedAt is the event's time where TikTok gave none.
	ReceivedAt time.Time
	// Own says that the event is the operator's own: Body is a ChannelEvent's, not TikTok's.
	Own bool
	// Trace becomes the CloudEvent's.
	Trace tracecontext.Context
}

// Source is the API path of a channel.
func Source(namespace, name string) string {
	return "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + namespace + "/tiktokchannels/" + name
}

// Normalize makes the CloudEvent of a stored webhook. It succeeds with anything: a body that cannot be decoded is TypeUnknown, with the body
// in raw. The error is for data that cannot be written as JSON, which no input is known to cause.
func Normalize(in Input) (Event, error) {
	if in.Own {
		return normalizeOwn(in)
	}
	e := Event{ID: in.ID, Source: Source(in.Namespace, in.Name), Type: TypeUnknown, Time: in.ReceivedAt, Trace: in.Trace}
	d := Data{Raw: rawJSON(in.Body)}
	if envelope, err := tiktok.DecodeEnvelope(in.Body); err != nil {
		d.Undecodable = true
	} else {
		fill(&e, &d, envelope)
	}
	e.Subject = attribute(d.ConversationID)
	if e.PartitionKey = e.Subject; e.PartitionKey == "" {
		e.PartitionKey = attribute(d.BusinessID)
	}
	data, err := marshal(d)
	if err != nil {
		return Event{}, fmt.Errorf("encoding an event's data: %w", err)
	}
	e.Data = data
	return e, nil
}

func fill(e *Event, d *Data, envelope *tiktok.Envelope) {
	d.Event, d.BusinessID, d.Fetched = envelope.Event, envelope.UserOpenID, envelope.Fetched
	if !envelope.CreateTime.IsZero() && representable(envelope.CreateTime) {
		e.Time = envelope.CreateTime
	}
	entry, known := catalogue(envelope.Event)
	var message *tiktok.MessageContent
	if len(envelope.Content) > 0 {
		m, err := tiktok.DecodeMessageContent(envelope.Content)
		if err != nil {
			d.Undecodable = known
			return
		}
		message = m
	}
	if message == nil {
		message = &tiktok.MessageContent{}
	}
	if !message.Timestamp.IsZero() && representable(message.Timestamp) {
		e.Time = message.Timestamp
	}
	if !known {
		d.ConversationID = message.ConversationID // for its order, if it has one
		return
	}
	e.Type = entry.eventType
	d.Fetched = d.Fetched && (e.Type == TypeMessageReceived || e.Type == TypeMessageSent) // there is no other to be fetched
	entry.fill(d, content{MessageContent: message, event: envelope.Event, business: envelope.UserOpenID, raw: envelope.Content})
}

// representable says whether RFC 3339 can express a time.
func representable(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// attribute makes a foreign text fit for an attribute: itself, or a hash of it that stands for it just as well.
func attribute(s string) string {
	if isAttribute(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// rawJSON is the body as JSON, its digits untouched; a body that is not JSON becomes a string.
func rawJSON(body []byte) json.RawMessage {
	body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	if json.Valid(body) {
		return json.RawMessage(bytes.TrimSpace(body))
	}
	text, err := marshal(string(body))
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
