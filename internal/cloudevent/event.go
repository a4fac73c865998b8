// Package cloudevent turns what TikTok sent into CloudEvents 1.0, and writes those as HTTP requests in binary mode. It is pure: no I/O, no
// clock, the same input gives the same event. It drops nothing: the envelope is in every event, and what is not known becomes TypeUnknown.
package cloudevent

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

// SpecVersion of CloudEvents.
const SpecVersion = "1.0"

// ContentType of every event's data.
const ContentType = "application/json"

// Event is a CloudEvent whose data is JSON. ID, Source and Type are never empty.
type Event struct {
	// ID is the same each time the same event is delivered.
	ID string
	// Source is the channel's API path.
	Source string
	Type   string
	// Subject is the conversation; "" if there is none.
	Subject string
	// PartitionKey names what the event is ordered within: the conversation, else the business; "" if there is neither.
	PartitionKey string
	// Time is when it happened at TikTok.
	Time time.Time
	// Trace is the trace that the event belongs to; the distributed tracing extension.
	Trace tracecontext.Context
	// Data is JSON.
	Data []byte
}

// Header writes the event's attributes as headers of the HTTP protocol binding's binary mode; Data is the request's body.
func (e Event) Header() http.Header {
	h := http.Header{}
	h.Set("Content-Type", ContentType)
	h.Set("Ce-Specversion", SpecVersion)
	for name, value := range map[string]string{
		"Ce-Id": e.ID, "Ce-Source": e.Source, "Ce-Type": e.Type, "Ce-Subject": e.Subject, "Ce-Partitionkey": e.PartitionKey,
		"Ce-" + tracecontext.ParentHeader: e.Trace.Parent(), "Ce-" + tracecontext.StateHeader: e.Trace.State(),
	} {
		if value != "" {
			h.Set(name, encodeHeader(value))
		}
	}
	if !e.Time.IsZero() {
		h.Set("Ce-Time", e.Time.UTC().Format(time.RFC3339Nano))
	}
	return h
}

// encodeHeader percent-encodes as the HTTP protocol binding (3.1.3.2) says: space, double quote, percent, and all but printable ASCII.
func encodeHeader(s string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// maxAttribute keeps headers within what HTTP servers accept, percent-encoded too.
const maxAttribute = 512

// isAttribute says whether a text may be the value of a CloudEvents attribute: valid Unicode without control characters, of bearable length.
func isAttribute(s string) bool {
	if len(s) > maxAttribute || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		control := r < 0x20 || (r >= 0x7f && r <= 0x9f)
		noncharacter := r&0xfffe == 0xfffe || (r >= 0xfdd0 && r <= 0xfdef)
		return control || noncharacter
	})
}
