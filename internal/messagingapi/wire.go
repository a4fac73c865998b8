package messagingapi

import (
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// Message of a conversation.
type Message struct {
	// ID is TikTok's; absent until TikTok has given it one.
	ID string `json:"id,omitempty"`
	// SendID is the operator's id of what it was asked to send; absent of other messages. It names the message as ID does.
	SendID string `json:"sendID,omitempty"`
	// IdempotencyKey that the message was sent with.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// Time at TikTok; until that is known, when the message was accepted.
	Time time.Time `json:"time"`
	// Status of a message of the business's.
	Status cloudevent.Status `json:"status,omitempty"`
	// Code of TikTok's refusal.
	Code int `json:"code,omitempty"`
	// Explanation of the status, where it is not plain.
	Explanation string `json:"explanation,omitempty"`
	// Partial: TikTok has told nothing of the message yet, and data is the beginning of what was sent.
	Partial bool `json:"partial,omitempty"`
	// Data is that of the message's event, without raw.
	Data MessageData `json:"data"`
}

// MessageData is the data of a message's event.
type MessageData struct {
	*cloudevent.Data
	// Raw hides that of the event.
	Raw *struct{} `json:"raw,omitempty"`
}

func messageOf(m conversation.Message) Message {
	return Message{
		ID: m.ID, SendID: m.SendID, IdempotencyKey: m.IdempotencyKey, Time: m.At.UTC(), Status: m.Status, Code: m.Code,
		Explanation: m.Explanation, Partial: m.Partial, Data: MessageData{Data: m.Data},
	}
}

// MessageList is a page of messages, newest first.
type MessageList struct {
	// Items are the messages.
	Items []Message `json:"items"`
	// Continue asks for the next page; absent on the last.
	Continue string `json:"continue,omitempty"`
}

// Window says whether a business may answer.
type Window struct {
	// Known: the user's last message is known. Else the rest is absent, and TikTok decides.
	Known bool `json:"known"`
	// Open says that TikTok takes messages now.
	Open bool `json:"open"`
	// Until is 48 hours after the user's last message.
	Until *time.Time `json:"until,omitempty"`
	// MessagesLeft until the user writes again; absent where there is no limit.
	MessagesLeft *int `json:"messagesLeft,omitempty"`
}

func windowOf(w messaging.Window) Window {
	out := Window{Known: w.Known, Open: w.Open, Until: timeOf(w.Until)}
	if w.Known && w.Left >= 0 {
		out.MessagesLeft = &w.Left
	}
	return out
}

// Conversation with a user.
type Conversation struct {
	// ID is TikTok's. In a path it is percent-encoded.
	ID string `json:"id"`
	// User on the other side.
	User *cloudevent.Person `json:"user,omitempty"`
	// Business that the channel is of.
	Business *cloudevent.Person `json:"business,omitempty"`
	// UserID is the user, the same across TikTok's APIs.
	UserID string `json:"userID,omitempty"`
	// IsFollower says whether the user follows the business.
	IsFollower *bool `json:"isFollower,omitempty"`
	// Referral is how the user came, the last time.
	Referral *cloudevent.Referral `json:"referral,omitempty"`
	// LastMessage that is known.
	LastMessage *Message `json:"lastMessage,omitempty"`
	// LastUserMessageTime is when the user wrote last.
	LastUserMessageTime *time.Time `json:"lastUserMessageTime,omitempty"`
	// ReadUpTo: the user has read all messages up to this time.
	ReadUpTo *time.Time `json:"readUpTo,omitempty"`
	// UpdatedAt is when the newest event of the conversation happened.
	UpdatedAt *time.Time `json:"updatedAt,omitempty"`
	// Window says whether the business may answer now.
	Window Window `json:"window"`
	// Images says whether images may be sent: yes, no or unknown. Only one conversation that is asked for has it, not a list.
	Images string `json:"images,omitempty"`
}

// ConversationList is a page of conversations, the one with the newest event first.
type ConversationList struct {
	// Items are the conversations.
	Items []Conversation `json:"items"`
	// Continue asks for the next page; absent on the last.
	Continue string `json:"continue,omitempty"`
}

func conversationOf(s conversation.State, now time.Time) Conversation {
	summary := s.Summary()
	out := Conversation{
		ID: summary.ID, UserID: summary.UserID, IsFollower: summary.Follower, Referral: summary.Referral,
		LastUserMessageTime: timeOf(summary.LastUserMessage), ReadUpTo: timeOf(summary.ReadUpTo), UpdatedAt: timeOf(summary.UpdatedAt),
		Window: windowOf(s.Known().Window(now)), User: personOf(summary.User), Business: personOf(summary.Business),
	}
	if summary.Last != nil {
		last := messageOf(*summary.Last)
		out.LastMessage = &last
	}
	return out
}

func personOf(p cloudevent.Person) *cloudevent.Person {
	if p == (cloudevent.Person{}) {
		return nil
	}
	return &p
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
