package conversation

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// Message of a conversation.
type Message struct {
	// ID is TikTok's; "" while a message that is being sent has none.
	ID string
	// SendID and IdempotencyKey are of what this operator was asked to send; "" of other messages.
	SendID, IdempotencyKey string
	// At is TikTok's time; while that is not known, when the operator accepted the message.
	At time.Time
	// Data is what the message's event says, without Raw. If Partial, TikTok has told nothing of it yet, and this is the summary that the operator
	// keeps of what it sends.
	// It is not to be changed.
	Data    *cloudevent.Data
	Partial bool
	// Status of a message of the business's; "" of the user's. Code and Explanation go with it.
	Status      cloudevent.Status
	Code        int
	Explanation string

	// told is the status that an event has told, and acceptedAt goes with it.
	told       cloudevent.Status
	acceptedAt time.Time
	statusAt   time.Time
}

// view is what is worked out of a state when it is asked for first.
type view struct {
	once     sync.Once
	messages []Message
}

// Messages are the newest MaxMessages, newest first. They are not to be changed.
func (s State) Messages() []Message {
	s.view.once.Do(func() { s.view.messages = s.workOut() })
	return s.view.messages
}

func (s State) workOut() []Message {
	byMessage := map[string][]send{}
	out := make([]Message, 0, len(s.messages)+len(s.sends))
	for _, sent := range slices.Backward(s.sends) { // the first send of a message counts, should there be two
		for _, id := range sent.messageIDs {
			byMessage[id] = append(byMessage[id], sent)
		}
		if len(sent.messageIDs) == 0 {
			out = append(out, s.fromSends("", []send{sent}))
		}
	}
	for _, m := range s.messages {
		var sends []send
		if m.data.Direction == cloudevent.Outbound && m.data.Kind != reaction {
			sends = byMessage[m.data.MessageID]
			delete(byMessage, m.data.MessageID)
		}
		out = append(out, s.fromTikTok(m, sends))
	}
	for id, sends := range byMessage {
		out = append(out, s.fromSends(id, sends))
	}
	slices.SortFunc(out, func(a, b Message) int {
		return cmp.Or(b.At.Compare(a.At), compareIDs(b.ID, a.ID), compareIDs(b.SendID, a.SendID))
	})
	return out[:min(len(out), MaxMessages)]
}

// Message is one of Messages, by TikTok's id or by the operator's of what was sent; nil if there is none.
func (s State) Message(id string) *Message {
	if id == "" {
		return nil
	}
	for _, m := range s.Messages() {
		if m.ID == id || m.SendID == id {
			return &m
		}
	}
	return nil
}

// fromTikTok is a message that TikTok told of.
func (s State) fromTikTok(m message, sends []send) Message {
	out := Message{ID: m.data.MessageID, At: m.at, Data: m.data}
	if m.data.Direction != cloudevent.Outbound {
		return out
	}
	best := status{Status: cloudevent.StatusDelivered, at: m.at}
	if !m.at.After(s.readUpTo) {
		best = status{Status: cloudevent.StatusRead, at: s.readUpTo}
	}
	out.add(sends, best)
	return out
}

// fromSends is a message that only the operator told of. Whether the user has read it is not known before TikTok's time of it is: a read mark says up
// to which of TikTok's times.
func (s State) fromSends(id string, sends []send) Message {
	d := cloudevent.Data{
		BusinessID: s.business.id.value, ConversationID: s.id, MessageID: id, Direction: cloudevent.Outbound, Kind: "unknown",
	}
	out := Message{ID: id, At: sends[0].acceptedAt, Partial: true}
	for _, sent := range sends {
		if sent.id != "" {
			d.Origin = cloudevent.OriginAPI
		}
		if c := sent.content; c.Kind != "" && d.Kind == "unknown" {
			fill(&d, c)
		}
	}
	out.Data = &d
	out.add(sends, status{})
	return out
}

// add works out the status.
func (m *Message) add(sends []send, best status) {
	own := slices.ContainsFunc(sends, func(s send) bool { return s.id != "" })
	for _, s := range sends {
		if s.told.compare(best) > 0 {
			best = s.told
		}
		if own && s.id == "" {
			continue
		}
		if s.told.Supersedes(m.told) {
			m.told = s.told.Status
		}
		if m.SendID == "" && s.id != "" {
			m.SendID, m.IdempotencyKey, m.acceptedAt = s.id, s.idempotencyKey, s.acceptedAt
		}
	}
	m.Status, m.Code, m.Explanation, m.statusAt = best.Status, best.code, best.explanation, best.at
}

// fill takes a summary for the content.
func fill(d *cloudevent.Data, c cloudevent.ContentSummary) {
	d.Kind = c.Kind
	switch c.Kind {
	case "text":
		d.Text = &c.Text
	case "template":
		d.Template = &cloudevent.Template{Elements: []cloudevent.TemplateElement{{Title: c.Text}}}
	}
}

// Summarize makes the summary of a message: what fill would take.
func Summarize(d *cloudevent.Data) cloudevent.ContentSummary {
	switch {
	case d.Text != nil:
		return *cloudevent.Summarize(d.Kind, *d.Text)
	case d.Template != nil && len(d.Template.Elements) > 0:
		return *cloudevent.Summarize(d.Kind, d.Template.Elements[0].Title)
	default:
		return *cloudevent.Summarize(d.Kind, "")
	}
}
