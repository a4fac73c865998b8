package tiktok

import "time"

// Role of a participant, in lower case.
type Role string

// Roles that TikTok is known to name.
const (
	RoleBusiness Role = "business_account"
	RolePersonal Role = "personal_account"
)

// Participant of a conversation.
type Participant struct {
	// ID is the account's; that of the business is its open_id.
	ID string
	// Role is "" if TikTok did not say.
	Role Role
}

// MessageContent is the content of a message event, and of its kin, which lack the message: read marks, referrals, high-intent comments. All
// fields may be empty.
type MessageContent struct {
	// From and To are usernames.
	From, To string
	// FromUser and ToUser are the participants.
	FromUser, ToUser Participant
	// UniqueIdentifier is the user, the same across TikTok's APIs.
	UniqueIdentifier string
	// ConversationID looks like base64.
	ConversationID string
	// MessageID is the message's.
	MessageID string
	// Type is TikTok's name of the message's kind, in lower case.
	Type string
	// Timestamp is when it was sent; zero if TikTok did not say.
	Timestamp time.Time
	// SceneType is TikTok's; its values are not documented.
	SceneType string
	// IsFollower says whether the user follows the business; nil if TikTok did not say.
	IsFollower *bool

	// Text is the body of a text message.
	Text string
	// MediaID of an image or a video.
	MediaID string
	// EmbedURL and VideoID of a shared post.
	EmbedURL, VideoID string
	// StickerURL of a sticker expires after 30 days.
	StickerURL string
	// EmojiURL of a large emoji.
	EmojiURL string
	// Reactions that were added to, or taken from, messages.
	Reactions []Reaction
	// Template of a card with buttons; nil if there is none.
	Template *Template

	// ReferencedMessageID is the message that this one answers.
	ReferencedMessageID string
	// ReplySource is set where the user tapped a card's button.
	ReplySource *ReplySource
	// Source is where a business's message was sent from: APP, WEB, API, OTHERS or UNKNOWN_SOURCE, in upper case.
	Source string
	// AutoMessageType is set on TikTok's automatic messages: WELCOME_MESSAGE, SUGGESTED_QUESTION or AUTO_REPLY, in upper case.
	AutoMessageType string

	// LastReadTimestamp of a read mark: all messages up to it are read.
	LastReadTimestamp time.Time
	// Referral says how the user came to the conversation; nil if TikTok did not say.
	Referral *Referral
	// CommentID and CommentText of a high-intent comment.
	CommentID, CommentText string
}

// Reaction to a message.
type Reaction struct {
	// Operation is ADD or REMOVE, in upper case.
	Operation string
	// Type is EMOJI or AI_EMOJI, in upper case.
	Type string
	// Emoji is the character, AIEmojiURL the picture, of which there is one.
	Emoji, AIEmojiURL string
	// UniqueIdentifier is who reacted.
	UniqueIdentifier string
	// Timestamp is when; zero if TikTok did not say.
	Timestamp time.Time
	// OriginalMessageID is the message that was reacted to.
	OriginalMessageID string
}

// Template is a card with buttons.
type Template struct {
	// Type is qa_button_card or qa_link_card, in lower case.
	Type string
	// Elements of the card.
	Elements []TemplateElement
}

// TemplateElement is a title with its buttons.
type TemplateElement struct {
	Title   string
	Buttons []Button
}

// Button of a card.
type Button struct {
	// Type is in lower case.
	Type string
	// ID comes back when the button is tapped; Text is its label.
	ID, Text string
}

// ReplySource is the card whose button was tapped.
type ReplySource struct {
	// MessageID is the card's message.
	MessageID string
	// UniqueID is TikTok's reply_source_unique_id.
	UniqueID string
}

// Referral is how a user came to a conversation.
type Referral struct {
	// Source is ad or short_link, in lower case.
	Source string
	// Ad and ShortLink: the one that Source names; nil if TikTok did not say.
	Ad        *ReferralAd
	ShortLink *ReferralShortLink
}

// ReferralAd is an advertisement that led to a conversation.
type ReferralAd struct {
	AdvertiserID, AdID, AdName string
	// Timestamp is when; zero if TikTok did not say.
	Timestamp         time.Time
	EmbedURL          string
	MessageMaterialID string
}

// ReferralShortLink is a link that led to a conversation.
type ReferralShortLink struct {
	// Ref is what the link carried.
	Ref string
	// PrefilledMessage is the text that it proposed, and PrefilledMessageAuditStatus what TikTok thinks of that.
	PrefilledMessage, PrefilledMessageAuditStatus string
}
