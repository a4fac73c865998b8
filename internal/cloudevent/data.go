package cloudevent

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Direction of a message, as the business sees it.
type Direction string

// Directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Origin is where the business's message was written.
type Origin string

// Origins. TikTok may add others: they are OriginOther.
const (
	// OriginApp: in the TikTok app.
	OriginApp Origin = "app"
	// OriginWeb: on TikTok's web site.
	OriginWeb Origin = "web"
	// OriginAPI: through the API, which includes all that this operator sends.
	OriginAPI   Origin = "api"
	OriginOther Origin = "other"
)

// Data is the data of every event: the fields that the event has, and TikTok's envelope.
type Data struct {
	// Event is TikTok's name of the event.
	Event string `json:"event,omitempty"`
	// BusinessID is the business account.
	BusinessID string `json:"businessID,omitempty"`
	// ConversationID and MessageID are TikTok's.
	ConversationID string    `json:"conversationID,omitempty"`
	MessageID      string    `json:"messageID,omitempty"`
	Direction      Direction `json:"direction,omitempty"`
	// Kind of the message, in TikTok's words in lower case; "unknown" if TikTok names none.
	Kind string `json:"kind,omitempty"`
	// Unsupported marks a kind of message that is not normalised further: its content is in Raw only.
	Unsupported bool       `json:"unsupported,omitempty"`
	Text        *string    `json:"text,omitempty"`
	Media       *Media     `json:"media,omitempty"`
	SharePost   *SharePost `json:"sharePost,omitempty"`
	Sender      *Person    `json:"sender,omitempty"`
	Recipient   *Person    `json:"recipient,omitempty"`
	// UserID is the user, the same across TikTok's APIs.
	UserID string `json:"userID,omitempty"`
	// IsFollower says whether the user follows the business.
	IsFollower *bool `json:"isFollower,omitempty"`
	// ReplyTo is the message that this one quotes.
	ReplyTo string `json:"replyTo,omitempty"`
	// Origin of the business's own message.
	Origin Origin `json:"origin,omitempty"`
	// Automatic is the kind of automatic message that TikTok sent in the business's name.
	Automatic string `json:"automatic,omitempty"`
	// ReadUpTo: the user has read all messages up to this time.
	ReadUpTo *time.Time `json:"readUpTo,omitempty"`
	// Fetched marks a message that TikTok's webhook did not hold, and that was read from its conversation.
	Fetched bool `json:"fetched,omitempty"`
	// Undecodable marks content that is not what the event should hold.
	Undecodable bool `json:"undecodable,omitempty"`
	// Raw is TikTok's envelope as it was sent, or as it would have been if Fetched. Its content is a string of JSON.
	Raw json.RawMessage `json:"raw"`
}

// Person is a participant of a conversation.
type Person struct {
	ID string `json:"id,omitempty"`
	// Username is the TikTok handle.
	Username string `json:"username,omitempty"`
	// Role is business_account or personal_account.
	Role string `json:"role,omitempty"`
}

// Media is an image or a video, to be fetched by its id.
type Media struct {
	ID string `json:"id"`
}

// SharePost is a TikTok post in a message.
type SharePost struct {
	EmbedURL string `json:"embedURL,omitempty"`
	VideoID  string `json:"videoID,omitempty"`
}

// content is a decoded event with what decides its direction.
type content struct {
	*tiktok.MessageContent
	event, business string
}

func fillCommon(d *Data, c content) {
	d.ConversationID, d.MessageID, d.UserID, d.IsFollower = c.ConversationID, c.MessageID, c.UniqueIdentifier, c.IsFollower
	d.Sender = person(c.FromUser, c.From)
	d.Recipient = person(c.ToUser, c.To)
}

func fillRead(d *Data, c content) {
	fillCommon(d, c)
	if !c.LastReadTimestamp.IsZero() {
		at := c.LastReadTimestamp.UTC()
		d.ReadUpTo = &at
	}
}

func fillMessage(d *Data, c content) {
	fillCommon(d, c)
	d.Direction = direction(c)
	d.ReplyTo, d.Automatic = c.ReferencedMessageID, c.AutoMessageType
	if d.Direction == Outbound {
		d.Origin = origin(c.Source)
	}
	switch d.Kind = c.Type; c.Type {
	case "text":
		d.Text = &c.Text
	case "image", "video":
		d.Media = &Media{ID: c.MediaID}
	case "share_post":
		d.SharePost = &SharePost{EmbedURL: c.EmbedURL, VideoID: c.VideoID}
	case "":
		d.Kind, d.Unsupported = "unknown", true
	default:
		d.Unsupported = true
	}
}

// direction goes by the participants, and by the event where they are not named.
func direction(c content) Direction {
	switch {
	case c.business != "" && c.ToUser.ID == c.business:
		return Inbound
	case c.business != "" && c.FromUser.ID == c.business:
		return Outbound
	case c.event == "im_send_msg":
		return Outbound
	default:
		return Inbound
	}
}

func origin(source string) Origin {
	switch o := Origin(strings.ToLower(source)); o {
	case OriginApp, OriginWeb, OriginAPI, "":
		return o
	default:
		return OriginOther
	}
}

func person(p tiktok.Participant, username string) *Person {
	if p.ID == "" && p.Role == "" && username == "" {
		return nil
	}
	return &Person{ID: p.ID, Username: username, Role: string(p.Role)}
}
