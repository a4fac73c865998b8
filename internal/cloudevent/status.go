package cloudevent

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// TypeMessageStatus is the operator's own event about a message of the business's: how far it has come.
const TypeMessageStatus = "io.tiktok-operator.message.status"

// Status is how far a message of the business's has come.
type Status string

// Statuses, in the order in which one replaces another. Failed stands before sent, since a message that was taken for failed (TikTok did not
// answer, say) and then turns up was sent.
const (
	// StatusAccepted: the operator has it, and TikTok has not confirmed it.
	StatusAccepted Status = "accepted"
	// StatusFailed: TikTok refused it.
	StatusFailed Status = "failed"
	// StatusSent: TikTok took it.
	StatusSent Status = "sent"
	// StatusDelivered: TikTok has put it into the conversation, as its webhook says.
	StatusDelivered Status = "delivered"
	// StatusRead: the user has read it.
	StatusRead Status = "read"
)

// Statuses are all of them, in their order.
func Statuses() []Status {
	return []Status{StatusAccepted, StatusFailed, StatusSent, StatusDelivered, StatusRead}
}

// Supersedes says whether a message of status other may come to have this one. What is no status supersedes nothing, and any status supersedes it.
func (s Status) Supersedes(other Status) bool {
	return slices.Index(Statuses(), s) > slices.Index(Statuses(), other)
}

// StatusData is the data of an event of TypeMessageStatus.
type StatusData struct {
	// BusinessID is the business account.
	BusinessID string `json:"businessID,omitempty"`
	// ConversationID is TikTok's id of the conversation.
	ConversationID string `json:"conversationID"`
	// SendID is the operator's id of what it was asked to send; absent of messages that others sent.
	SendID string `json:"sendID,omitempty"`
	// MessageID is TikTok's id of the message; absent until TikTok has given it one.
	MessageID string `json:"messageID,omitempty"`
	// Status that the message has now. It only moves forward.
	Status Status `json:"status"`
	// Code of TikTok's refusal.
	Code int `json:"code,omitempty"`
	// Explanation: what the status means and what to do, where that is not plain.
	Explanation string `json:"explanation,omitempty"`
	// IdempotencyKey that the message was sent with.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	// AcceptedAt is when the operator was asked to send the message, the same in all of its events.
	AcceptedAt *time.Time `json:"acceptedAt,omitempty"`
	// Content of the message, in short.
	Content *ContentSummary `json:"content,omitempty"`
}

// ContentSummary is what a message says, in short.
type ContentSummary struct {
	// Kind of the message, as its message.sent event has it.
	Kind string `json:"kind"`
	// Text is the beginning of its text, or of its card's title: 200 characters at most.
	Text string `json:"text,omitempty"`
}

// maxSummary is in code points.
const maxSummary = 200

// Summarize makes the summary of a message.
func Summarize(kind, text string) *ContentSummary {
	if runes := []rune(text); len(runes) > maxSummary {
		text = string(runes[:maxSummary-1]) + "…"
	}
	return &ContentSummary{Kind: kind, Text: text}
}

// StatusEvent is an event of TypeMessageStatus, as the event log keeps it.
type StatusEvent struct {
	// Time is when it happened.
	Time time.Time
	Data StatusData
}

// Body is the event as the event log keeps it, with its type.
func (e StatusEvent) Body() ([]byte, error) {
	d := e.Data
	switch {
	case d.ConversationID == "":
		return nil, errors.New("a status without a conversation")
	case d.SendID == "" && d.MessageID == "":
		return nil, errors.New("a status without a message")
	case !slices.Contains(Statuses(), d.Status):
		return nil, fmt.Errorf("%q is no status of a message", d.Status)
	}
	body, err := marshal(struct {
		Type string     `json:"type"`
		Time time.Time  `json:"time"`
		Data StatusData `json:"data"`
	}{TypeMessageStatus, e.Time, d})
	if err != nil {
		return nil, fmt.Errorf("encoding the status of a message: %w", err)
	}
	return body, nil
}
