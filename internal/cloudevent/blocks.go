package cloudevent

import "time"

// Direction of a message, as the business sees it.
type Direction string

// Directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Origin is where the business's message was written, as TikTok's message_tag has it: nothing else in a webhook tells, and whether a message is
// the operator's own is not asked here (package outbound knows).
type Origin string

// Origins. TikTok may add others: they are OriginOther.
const (
	// OriginApp: in the TikTok app.
	OriginApp Origin = "app"
	// OriginWeb: on TikTok's web site.
	OriginWeb Origin = "web"
	// OriginAPI: through the API, by this operator or by another program.
	OriginAPI   Origin = "api"
	OriginOther Origin = "other"
)

// Person is a participant of a conversation.
type Person struct {
	// ID of the account.
	ID string `json:"id,omitempty"`
	// Username is the TikTok handle.
	Username string `json:"username,omitempty"`
	// Role: "business_account" or "personal_account".
	Role string `json:"role,omitempty"`
}

// Media is an image or a video, to be fetched by its id.
type Media struct {
	// ID is what to fetch it by.
	ID string `json:"id"`
}

// SharePost is a TikTok post in a message.
type SharePost struct {
	// EmbedURL is a page that shows the post.
	EmbedURL string `json:"embedURL,omitempty"`
	// VideoID is the post's id.
	VideoID string `json:"videoID,omitempty"`
}

// Picture is a sticker or a large emoji, at an address of TikTok's.
type Picture struct {
	// URL of the picture. A sticker's ends after 30 days.
	URL string `json:"url"`
}

// Reaction to a message.
type Reaction struct {
	// Operation is ADD or REMOVE.
	Operation string `json:"operation,omitempty"`
	// Type is EMOJI or AI_EMOJI.
	Type string `json:"type,omitempty"`
	// Emoji is the character.
	Emoji string `json:"emoji,omitempty"`
	// AIEmojiURL is the picture of an AI_EMOJI.
	AIEmojiURL string `json:"aiEmojiURL,omitempty"`
	// UserID is who reacted.
	UserID string `json:"userID,omitempty"`
	// Time of the reaction.
	Time *time.Time `json:"time,omitempty"`
	// MessageID is the message that was reacted to.
	MessageID string `json:"messageID,omitempty"`
}

// Template is a card with buttons.
type Template struct {
	// Type: "qa_button_card" or "qa_link_card".
	Type string `json:"type,omitempty"`
	// Elements of the card.
	Elements []TemplateElement `json:"elements,omitempty"`
}

// TemplateElement is a title with its buttons.
type TemplateElement struct {
	// Title of the element.
	Title string `json:"title,omitempty"`
	// Buttons below it.
	Buttons []Button `json:"buttons,omitempty"`
}

// Button of a card.
type Button struct {
	// Type: "reply".
	Type string `json:"type,omitempty"`
	// ID is what its sender gave it.
	ID string `json:"id,omitempty"`
	// Text is the label.
	Text string `json:"text,omitempty"`
}

// ReplySource is the card whose button was tapped.
type ReplySource struct {
	// MessageID is the card's message.
	MessageID string `json:"messageID,omitempty"`
	// UniqueID is TikTok's reply_source_unique_id.
	UniqueID string `json:"uniqueID,omitempty"`
}

// Referral is how a user came to a conversation.
type Referral struct {
	// Source: "ad" or "short_link".
	Source string `json:"source,omitempty"`
	// Ad that led here.
	Ad *ReferralAd `json:"ad,omitempty"`
	// ShortLink that led here.
	ShortLink *ReferralShortLink `json:"shortLink,omitempty"`
}

// ReferralAd is an advertisement that led to a conversation.
type ReferralAd struct {
	// AdvertiserID is the advertiser's account.
	AdvertiserID string `json:"advertiserID,omitempty"`
	// AdID is the advertisement's id.
	AdID string `json:"adID,omitempty"`
	// AdName is the advertisement's name.
	AdName string `json:"adName,omitempty"`
	// Time at which the user came by it.
	Time *time.Time `json:"time,omitempty"`
	// EmbedURL is a page that shows the advertisement.
	EmbedURL string `json:"embedURL,omitempty"`
	// MessageMaterialID is TikTok's message_material_id.
	MessageMaterialID string `json:"messageMaterialID,omitempty"`
}

// ReferralShortLink is a link that led to a conversation.
type ReferralShortLink struct {
	// Ref is what the link carried.
	Ref string `json:"ref,omitempty"`
	// PrefilledMessage is the text that it proposed.
	PrefilledMessage string `json:"prefilledMessage,omitempty"`
	// PrefilledMessageAuditStatus is what TikTok thinks of that text.
	PrefilledMessageAuditStatus string `json:"prefilledMessageAuditStatus,omitempty"`
}

// AutoMessage is an automatic message that TikTok sends in the business's name.
type AutoMessage struct {
	// ID of the automatic message.
	ID string `json:"id,omitempty"`
	// Type is WELCOME_MESSAGE, SUGGESTED_QUESTION or CHAT_PROMPT.
	Type string `json:"type,omitempty"`
	// Action is what was done to it, as TikTok names it.
	Action string `json:"action,omitempty"`
	// Status is the audit's: APPROVED or REJECTED.
	Status string `json:"status,omitempty"`
	// WelcomeMessage is what it says, if that is its type.
	WelcomeMessage *WelcomeMessage `json:"welcomeMessage,omitempty"`
	// SuggestedQuestion is what it says, if that is its type.
	SuggestedQuestion *SuggestedQuestion `json:"suggestedQuestion,omitempty"`
	// ChatPrompt is what it says, if that is its type.
	ChatPrompt *ChatPrompt `json:"chatPrompt,omitempty"`
}

// WelcomeMessage greets who opens a conversation.
type WelcomeMessage struct {
	// Content is the greeting.
	Content string `json:"content"`
}

// SuggestedQuestion is offered to the user, with its answer.
type SuggestedQuestion struct {
	// Question that is offered.
	Question string `json:"question,omitempty"`
	// Answer that the user gets.
	Answer string `json:"answer,omitempty"`
}

// ChatPrompt is a button below a conversation, with what it sends.
type ChatPrompt struct {
	// Title of the button.
	Title string `json:"title,omitempty"`
	// Content is what it sends.
	Content string `json:"content,omitempty"`
}
