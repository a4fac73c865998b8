package tiktok

import (
	"encoding/json"
	"maps"
	"time"
)

// ConversationMessage is a message as a conversation lists it. All fields but Content may be empty.
type ConversationMessage struct {
	// ID is the message's.
	ID string
	// Timestamp is when it was sent; zero if TikTok did not say.
	Timestamp time.Time
	// FromUser and ToUser are the participants.
	FromUser, ToUser Participant
	// Content is what a webhook of the message would have for content: the same names, the same case, every digit, and all else that TikTok
	// listed. DecodeMessageContent reads it.
	Content json.RawMessage
}

// Inbound says whether somebody wrote to the business; false also where TikTok names neither side.
func (m *ConversationMessage) Inbound(businessID string) bool {
	switch {
	case m.ToUser.ID == businessID && businessID != "":
		return true
	case m.FromUser.ID == businessID && businessID != "":
		return false
	default:
		return m.FromUser.Role == RolePersonal || (m.FromUser.Role == "" && m.ToUser.Role == RoleBusiness)
	}
}

// listedMessage is one item of the list. What it is made of is taken apart field by field, so that nothing is lost and nothing odd in one
// message costs the others.
type listedMessage map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (m *listedMessage) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		fields = nil
	}
	*m = fields
	return nil
}

// message gives an item the form of a webhook's content. A list writes constants in upper case, and calls some fields by other names; where
// both names are there, the webhook's counts.
func (m listedMessage) message(conversationID string) ConversationMessage {
	content := listedMessage{}
	maps.Copy(content, m)
	for listed, name := range map[string]string{"sender": "from", "recipient": "to", "message_type": "type"} {
		if value, ok := content[listed]; ok {
			if _, both := content[name]; !both {
				content[name] = value
			}
			delete(content, listed)
		}
	}
	if content.text("conversation_id") == "" {
		content["conversation_id"] = quote(conversationID)
	}
	content.lowerCase("type")
	for block, name := range map[string]string{"from_user": "role", "to_user": "role", "template": "type"} {
		var inner listedMessage
		if json.Unmarshal(content[block], &inner) == nil && inner != nil {
			inner.lowerCase(name)
			content[block] = inner.raw()
		}
	}
	var known struct {
		Timestamp number                    `json:"timestamp"`
		FromUser  optional[participantWire] `json:"from_user"`
		ToUser    optional[participantWire] `json:"to_user"`
	}
	raw := content.raw()
	_ = json.Unmarshal(raw, &known) // its fields never fail
	return ConversationMessage{
		ID: string(content.text("message_id")), Timestamp: unixTime(known.Timestamp),
		FromUser: known.FromUser.value.participant(), ToUser: known.ToUser.value.participant(), Content: raw,
	}
}

func (m listedMessage) text(name string) (t text) {
	_ = t.UnmarshalJSON(m[name]) // never fails
	return t
}

func (m listedMessage) lowerCase(name string) {
	if value := m.text(name); value != "" {
		m[name] = quote(lower(value))
	}
}

// raw writes the fields in the order of their names.
func (m listedMessage) raw() json.RawMessage {
	raw, err := json.Marshal(map[string]json.RawMessage(m))
	if err != nil { // every value was read as JSON
		return json.RawMessage("{}")
	}
	return raw
}

func quote(s string) json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil { // strings always can be written
		return json.RawMessage(`""`)
	}
	return raw
}
