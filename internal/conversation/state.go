package conversation

import (
	"encoding/json"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// MaxMessages is how many messages a state holds: the newest.
const MaxMessages = 100

// maxSends is more than MaxMessages, since there may be two for one message: what was sent, and what was told of the message alone.
const maxSends = 3 * MaxMessages

// State of a conversation. It is a value: Apply returns another one, and leaves the one that it was given as it is.
type State struct {
	id string
	// complete: nothing of the conversation is older than the events.
	complete bool
	// messages that TikTok told of, and sends that the operator did, newest first.
	messages []message
	sends    []send

	user, business person
	userID         newest[string]
	follower       newest[int] // 1 for no, 2 for yes
	referral       newest[string]
	readUpTo       time.Time
	updated        time.Time

	view *view
}

// New is the state of a conversation before its events. It is complete if the events are all that there ever was of it: if not, older messages
// are possible, and are never taken for absent.
func New(conversationID string, complete bool) State {
	return State{id: conversationID, complete: complete, view: &view{}}
}

// Apply adds an event. One of another conversation, of a type that does not matter here, or that cannot be read, changes nothing.
func Apply(s State, e cloudevent.Event) State {
	switch e.Type {
	case cloudevent.TypeMessageStatus:
		var d cloudevent.StatusData
		if json.Unmarshal(e.Data, &d) != nil || d.ConversationID != s.id || (d.SendID == "" && d.MessageID == "") {
			return s
		}
		s.sends = insert(s.sends, sendOf(d, e.Time), mergeSends)
		if len(s.sends) > maxSends {
			s.sends = s.sends[:maxSends]
		}
	case cloudevent.TypeMessageReceived, cloudevent.TypeMessageSent, cloudevent.TypeMessageRead, cloudevent.TypeReferralReceived:
		var d cloudevent.Data
		if json.Unmarshal(e.Data, &d) != nil || d.ConversationID != s.id {
			return s
		}
		d.Raw = nil
		s = s.meet(d, e.Time)
		s = s.apply(e, d)
	default:
		return s
	}
	s.updated = later(s.updated, e.Time)
	s.view = &view{}
	return s
}

func (s State) apply(e cloudevent.Event, d cloudevent.Data) State {
	switch e.Type {
	case cloudevent.TypeMessageRead:
		if d.ReadUpTo != nil {
			s.readUpTo = later(s.readUpTo, *d.ReadUpTo)
		}
	case cloudevent.TypeReferralReceived:
		if text, err := json.Marshal(d.Referral); err == nil && d.Referral != nil {
			s.referral = s.referral.see(string(text), e.Time)
		}
	default:
		s.messages = trim(insert(s.messages, messageOf(d, e), better))
	}
	return s
}

// trim leaves the newest messages, and the user's two last in any case: the rules for sending go by them.
func trim(all []message) []message {
	if len(all) <= MaxMessages {
		return all
	}
	kept, inbound := all[:0], 0 // insert has made a slice of its own
	for i, m := range all {
		if m.data.Direction == cloudevent.Inbound {
			inbound++
		}
		if i < MaxMessages || m.data.Direction == cloudevent.Inbound && inbound <= 2 {
			kept = append(kept, m)
		}
	}
	return kept
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
