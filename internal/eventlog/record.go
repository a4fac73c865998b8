package eventlog

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// Record is one event as TikTok sent it, or one of the operator's own.
type Record struct {
	// ID identifies the event within its app and business: the same event has the same id each time it arrives. Required.
	ID string
	// App is the TiktokApp that it arrived for. Required.
	App string
	// BusinessID is the business that it is about; "" if the event names none.
	BusinessID string
	// ChannelUID is the channel that holds the business; "" stores the event as unrouted.
	ChannelUID string
	// Conversation is the conversation whose order the event belongs to; "" if it has none.
	Conversation string
	// Event is TikTok's name of the event.
	Event string
	// ReceivedAt is when it arrived.
	ReceivedAt time.Time
	// Body is TikTok's request body, byte for byte.
	Body []byte
	// Own marks an event of the operator's own, whose body is not TikTok's. Nothing that comes from outside may set it.
	Own bool
	// Sink names the only sink that the event is for; "" means all.
	Sink string
	// Replay, if not empty, marks an event that is delivered anew although it was dealt with before, and identifies the occasion.
	Replay string
	// Trace is the trace that the event belongs to; it may have none.
	Trace tracecontext.Context
}

// Stored is an event in the log.
type Stored struct {
	Record
	// Sequence is its place in the log; it grows.
	Sequence uint64
	// Lane is what the event is ordered within: it stands for the conversation, and for all events of a channel that have none.
	Lane string
	// StoredAt is when it was stored.
	StoredAt time.Time
}

const (
	headerPrefix = "Tiktok-Operator-"
	// recordHeader holds the fields of a Record as a query string: app=acme&id=evt_1. One header is less work than one for each field, for us and
	// for the server, which searches all of them several times.
	recordHeader = headerPrefix + "Record"

	idField           = "id"
	appField          = "app"
	businessField     = "business"
	channelField      = "channel"
	conversationField = "conversation"
	eventField        = "event"
	receivedField     = "received"
	sinkField         = "sink"
	replayField       = "replay"
	ownField          = "own"
	traceField        = "traceparent"
	traceStateField   = "tracestate"
	ownValue          = "true"

	// recordLength is room for the fields of most events, in bytes.
	recordLength = 512
)

func (r *Record) validate() error {
	switch {
	case r.ID == "":
		return errors.New("an event without an id cannot be stored")
	case r.App == "":
		return errors.New("an event without an app cannot be stored")
	case r.ChannelUID != "" && !isToken(r.ChannelUID):
		return fmt.Errorf("the channel UID %q of an event is not one of Kubernetes'", r.ChannelUID)
	}
	return nil
}

// message encodes the record. What comes from outside is percent-encoded: a header cannot be broken out of.
func (r *Record) message() *nats.Msg {
	m := &nats.Msg{Data: r.Body}
	var id string
	if r.ChannelUID == "" {
		m.Subject = unroutedSubject(r.App, r.BusinessID)
		id = digest("unrouted", r.App, r.BusinessID, r.ID)
	} else {
		m.Subject = eventSubject(r.ChannelUID, r.Conversation)
		id = digest("channel", r.ChannelUID, r.ID)
	}
	if r.Replay != "" {
		id = digest("replay", r.ChannelUID, r.ID, r.Sink, r.Replay)
	}
	m.Header = nats.Header{jetstream.MsgIDHeader: {id}, recordHeader: {r.fields()}}
	return m
}

func (r *Record) fields() string {
	received, own := "", ""
	if !r.ReceivedAt.IsZero() {
		received = r.ReceivedAt.UTC().Format(time.RFC3339Nano)
	}
	if r.Own {
		own = ownValue
	}
	var text strings.Builder
	text.Grow(recordLength)
	for _, field := range [...]struct{ name, value string }{
		{idField, r.ID},
		{appField, r.App},
		{businessField, r.BusinessID},
		{channelField, r.ChannelUID},
		{conversationField, r.Conversation},
		{eventField, r.Event},
		{receivedField, received},
		{sinkField, r.Sink},
		{replayField, r.Replay},
		{ownField, own},
		{traceField, r.Trace.Parent()},
		{traceStateField, r.Trace.State()},
	} {
		if field.value == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteByte('&')
		}
		text.WriteString(field.name)
		text.WriteByte('=')
		text.WriteString(url.QueryEscape(field.value))
	}
	return text.String()
}

// decodeRecord reads what message wrote. A field that cannot be read is left empty: the body is what counts.
func decodeRecord(h nats.Header, body []byte) Record {
	r := Record{Body: body}
	var parent, state string
	fields := h.Get(recordHeader)
	if fields == "" {
		fields = earlierFields(h)
	}
	for field := range strings.SplitSeq(fields, "&") {
		name, value, _ := strings.Cut(field, "=")
		value, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		switch name {
		case idField:
			r.ID = value
		case appField:
			r.App = value
		case businessField:
			r.BusinessID = value
		case channelField:
			r.ChannelUID = value
		case conversationField:
			r.Conversation = value
		case eventField:
			r.Event = value
		case receivedField:
			r.ReceivedAt, _ = time.Parse(time.RFC3339Nano, value)
		case sinkField:
			r.Sink = value
		case replayField:
			r.Replay = value
		case ownField:
			r.Own = value == ownValue
		case traceField:
			parent = value
		case traceStateField:
			state = value
		}
	}
	r.Trace = tracecontext.Parse(parent, state)
	return r
}

// earlierFields reads an event that was stored when each field had a header of its own: Tiktok-Operator-Id, and so on.
func earlierFields(h nats.Header) string {
	var text strings.Builder
	for _, name := range []string{
		idField, appField, businessField, channelField, conversationField, eventField, receivedField, sinkField, replayField, ownField,
		traceField, traceStateField,
	} {
		if value := h.Get(headerPrefix + strings.ToUpper(name[:1]) + name[1:]); value != "" {
			text.WriteString("&" + name + "=" + value)
		}
	}
	return text.String()
}
