package cloudevent

import (
	"encoding/json"
	"time"
)

// Data is the data of every event of TikTok's: the fields that the event has, and TikTok's envelope. docs/reference/events is generated from
// these types and their comments.
type Data struct {
	// Event is TikTok's name of the event.
	Event string `json:"event,omitempty"`
	// BusinessID is the business account.
	BusinessID string `json:"businessID,omitempty"`
	// ConversationID is TikTok's id of the conversation.
	ConversationID string `json:"conversationID,omitempty"`
	// MessageID is TikTok's id of the message.
	MessageID string `json:"messageID,omitempty"`
	// Direction of the message, as the business sees it.
	Direction Direction `json:"direction,omitempty"`
	// Kind of the message, in TikTok's words in lower case; "unknown" if TikTok names none.
	Kind string `json:"kind,omitempty"`
	// Unsupported marks a message that is not taken apart, since its kind is not known or its block is not what that kind should have: what it
	// says is in Raw only.
	Unsupported bool `json:"unsupported,omitempty"`
	// Text of a message of kind text.
	Text *string `json:"text,omitempty"`
	// Media of a message of kind image or video.
	Media *Media `json:"media,omitempty"`
	// SharePost is the post in a message of kind share_post.
	SharePost *SharePost `json:"sharePost,omitempty"`
	// Sticker of a message of kind sticker.
	Sticker *Picture `json:"sticker,omitempty"`
	// Emoji of a message of kind emoji, which is one large emoji.
	Emoji *Picture `json:"emoji,omitempty"`
	// Reactions of a message of kind reaction: what was added to, and taken from, other messages.
	Reactions []Reaction `json:"reactions,omitempty"`
	// Template of a message of kind template: a card with buttons.
	Template *Template `json:"template,omitempty"`
	// Sender of the message, or who did what the event tells.
	Sender *Person `json:"sender,omitempty"`
	// Recipient of the message, or to whom it was done.
	Recipient *Person `json:"recipient,omitempty"`
	// UserID is the user, the same across TikTok's APIs.
	UserID string `json:"userID,omitempty"`
	// IsFollower says whether the user follows the business.
	IsFollower *bool `json:"isFollower,omitempty"`
	// SceneType is TikTok's scene_type, which it does not explain.
	SceneType string `json:"sceneType,omitempty"`
	// ReplyTo is the message that this one quotes.
	ReplyTo string `json:"replyTo,omitempty"`
	// ReplySource is the card whose button the user tapped, which made this message.
	ReplySource *ReplySource `json:"replySource,omitempty"`
	// Origin of the business's own message, as TikTok tells it; absent where it does not. "api" is any program's: the operator's own messages are
	// those whose messageID a message.status event with a sendID has.
	Origin Origin `json:"origin,omitempty"`
	// Automatic is the kind of automatic message that TikTok sent in the business's name: WELCOME_MESSAGE, SUGGESTED_QUESTION or AUTO_REPLY.
	Automatic string `json:"automatic,omitempty"`
	// ReadUpTo: the user has read all messages up to this time.
	ReadUpTo *time.Time `json:"readUpTo,omitempty"`
	// Referral is how the user came to the conversation.
	Referral *Referral `json:"referral,omitempty"`
	// CommentID is TikTok's id of the comment.
	CommentID string `json:"commentID,omitempty"`
	// CommentText is what the comment says.
	CommentText string `json:"commentText,omitempty"`
	// AutoMessage is the automatic message that was changed or audited.
	AutoMessage *AutoMessage `json:"autoMessage,omitempty"`
	// Fetched marks a message that TikTok's webhook did not hold, and that was read from its conversation.
	Fetched bool `json:"fetched,omitempty"`
	// Undecodable marks content that is not what the event should hold.
	Undecodable bool `json:"undecodable,omitempty"`
	// Raw is TikTok's envelope as it was sent, or as it would have been if Fetched. Its content is a string of JSON, and its numbers have all
	// their digits. What was sent is a string here if it is not JSON.
	Raw json.RawMessage `json:"raw"`
}
