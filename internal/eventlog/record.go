package eventlog

import (
	"errors"
	"fmt"
	"net/url"
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
	headerPrefix     = "Tiktok-Operator-"
	idHeader         = headerPrefix + "Id"
	appHeader        = headerPrefix + "App"
	businessHeader   = headerPrefix + "Business"
	channelHeader    = headerPrefix + "Channel"
	conversationName = headerPrefix + "Conversation"
	eventHeader      = headerPrefix + "Event"
	receivedHeader   = headerPrefix + "Received"
	sinkHeader       = headerPrefix + "Sink"
	replayHeader     = headerPrefix + "Replay"
	ownHeader        = headerPrefix + "Own"
	traceHeader      = headerPrefix + "Traceparent"
	traceStateHeader = headerPrefix + "Tracestate"
	ownValue         = "true"
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
	m := &nats.Msg{Data: r.Body, Header: nats.Header{}}
	if r.ChannelUID == "" {
		m.Subject = unroutedSubject(r.App, r.BusinessID)
		m.Header.Set(jetstream.MsgIDHeader, digest("unrouted", r.App, r.BusinessID, r.ID))
	} else {
		m.Subject = eventSubject(r.ChannelUID, r.Conversation)
		m.Header.Set(jetstream.MsgIDHeader, digest("channel", r.ChannelUID, r.ID))
	}
	if r.Replay != "" {
		m.Header.Set(jetstream.MsgIDHeader, digest("replay", r.ChannelUID, r.ID, r.Sink, r.Replay))
	}
	for name, value := range map[string]string{
		idHeader: r.ID, appHeader: r.App, businessHeader: r.BusinessID, channelHeader: r.ChannelUID, conversationName: r.Conversation,
		eventHeader: r.Event, sinkHeader: r.Sink, replayHeader: r.Replay, traceHeader: r.Trace.Parent(), traceStateHeader: r.Trace.State(),
	} {
		if value != "" {
			m.Header.Set(name, url.QueryEscape(value))
		}
	}
	if r.Own {
		m.Header.Set(ownHeader, ownValue)
	}
	if !r.ReceivedAt.IsZero() {
		m.Header.Set(receivedHeader, r.ReceivedAt.UTC().Format(time.RFC3339Nano))
	}
	return m
}

// decodeRecord reads what message wrote. A header that cannot be read is left empty: the body is what counts.
func decodeRecord(h nats.Header, body []byte) Record {
	field := func(name string) string {
		v, err := url.QueryUnescape(h.Get(name))
		if err != nil {
			return ""
		}
		return v
	}
	received, _ := time.Parse(time.RFC3339Nano, h.Get(receivedHeader))
	return Record{
		ID: field(idHeader), App: field(appHeader), BusinessID: field(businessHeader), ChannelUID: field(channelHeader),
		Conversation: field(conversationName), Event: field(eventHeader), ReceivedAt: received, Body: body,
		Sink: field(sinkHeader), Replay: field(replayHeader), Own: h.Get(ownHeader) == ownValue,
		Trace: tracecontext.Parse(field(traceHeader), field(traceStateHeader)),
	}
}
