package tiktok

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Envelope is a webhook that TikTok sent.
type Envelope struct {
	// ClientKey is the app id; "" if it is missing.
	ClientKey string
	// Event is TikTok's name of the event, which may be one that nobody documents. It is never empty.
	Event string
	// CreateTime is when TikTok made the event; zero if it did not say.
	CreateTime time.Time
	// UserOpenID is the business; "" if it is missing.
	UserOpenID string
	// Content is the event's own JSON, its digits untouched: unwrapped from the string that TikTok sends it in. It is nil if there is none, and
	// a JSON string if the string held no JSON.
	Content json.RawMessage
	// Fetched marks an envelope that was made of a message which was read from its conversation. TikTok sends no such field.
	Fetched bool
}

// Errors of DecodeEnvelope, to be tested for with errors.Is.
var (
	// ErrNotJSON: the body is not a JSON object.
	ErrNotJSON = errors.New("the body is not a JSON object")
	// ErrNoEvent: the envelope names no event.
	ErrNoEvent = errors.New("the envelope names no event")
)

// DecodeEnvelope reads the body of a webhook, whose signature was verified before. Unknown fields are ignored, and fields of another type
// than expected are as good as missing.
func DecodeEnvelope(body []byte) (*Envelope, error) {
	e, _, err := DecodeIdentified(body)
	return e, err
}

// DecodeIdentified is DecodeEnvelope and, of the content, DecodeMessageIdentity: the identity is nil where that has an error.
func DecodeIdentified(body []byte) (*Envelope, *MessageIdentity, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, nil, ErrNotJSON
	}
	if e, identity := decodeUsual(body); e != nil {
		return e, identity, nil
	}
	return decodeUnusual(body)
}

// decodeUnusual decodes every envelope, whatever types its fields have.
func decodeUnusual(body []byte) (*Envelope, *MessageIdentity, error) {
	var raw struct {
		ClientKey  text            `json:"client_key"`
		Event      text            `json:"event"`
		CreateTime number          `json:"create_time"`
		UserOpenID text            `json:"user_openid"`
		Content    json.RawMessage `json:"content"`
		Fetched    flag            `json:"fetched"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, nil, fmt.Errorf("%w: it breaks at byte %d", ErrNotJSON, syntax.Offset)
		}
		return nil, nil, ErrNotJSON
	}
	if raw.Event == "" {
		return nil, nil, ErrNoEvent
	}
	e := &Envelope{
		ClientKey: string(raw.ClientKey), Event: string(raw.Event), CreateTime: unixTime(raw.CreateTime),
		UserOpenID: string(raw.UserOpenID), Content: unwrap(raw.Content),
		Fetched: raw.Fetched.value != nil && *raw.Fetched.value,
	}
	identity, _ := DecodeMessageIdentity(e.Content) // nil with an error
	return e, identity, nil
}

// unwrap takes content out of the string that TikTok sends it in.
func unwrap(content json.RawMessage) json.RawMessage {
	if trimmed := bytes.TrimSpace(content); len(trimmed) == 0 || string(trimmed) == "null" {
		return nil
	}
	var inner string
	if json.Unmarshal(content, &inner) != nil {
		return content
	}
	switch inner = strings.TrimSpace(inner); {
	case inner == "" || inner == "null":
		return nil
	case json.Valid([]byte(inner)):
		return json.RawMessage(inner)
	default:
		return content
	}
}
