package cloudevent

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// content is a decoded event with what decides its direction.
type content struct {
	*tiktok.MessageContent
	event, business string
	// raw is the content itself; nil if there is none.
	raw json.RawMessage
}

func fillCommon(d *Data, c content) {
	d.ConversationID, d.MessageID, d.UserID, d.IsFollower = c.ConversationID, c.MessageID, c.UniqueIdentifier, c.IsFollower
	d.SceneType = c.SceneType
	d.Sender = person(c.FromUser, c.From)
	d.Recipient = person(c.ToUser, c.To)
}

func fillRead(d *Data, c content) {
	fillCommon(d, c)
	d.ReadUpTo = timeOf(c.LastReadTimestamp)
}

func fillMessage(d *Data, c content) {
	fillCommon(d, c)
	d.Direction = direction(c)
	d.ReplyTo, d.Automatic = c.ReferencedMessageID, c.AutoMessageType
	if s := c.ReplySource; s != nil && *s != (tiktok.ReplySource{}) {
		d.ReplySource = &ReplySource{MessageID: s.MessageID, UniqueID: s.UniqueID}
	}
	if d.Direction == Outbound {
		d.Origin = origin(c.Source)
	}
	if d.Kind = c.Type; d.Kind == "" {
		d.Kind = "unknown"
	}
	d.Unsupported = !fillKind(d, c)
}

// fillKind takes the block of the message's kind. It says whether there is one that this version knows.
func fillKind(d *Data, c content) bool {
	switch c.Type {
	case "text":
		d.Text = &c.Text
	case "image", "video":
		d.Media = &Media{ID: c.MediaID}
	case "share_post":
		d.SharePost = &SharePost{EmbedURL: c.EmbedURL, VideoID: c.VideoID}
	case "sticker":
		d.Sticker = picture(c.StickerURL)
		return d.Sticker != nil
	case "emoji":
		d.Emoji = picture(c.EmojiURL)
		return d.Emoji != nil
	case "reaction":
		d.Reactions = reactionsOf(c.Reactions)
		return len(d.Reactions) > 0
	case "template":
		d.Template = template(c.Template)
		return d.Template != nil
	default:
		return false
	}
	return true
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

func picture(url string) *Picture {
	if url == "" {
		return nil
	}
	return &Picture{URL: url}
}

func reactionsOf(list []tiktok.Reaction) []Reaction {
	var reactions []Reaction
	for _, r := range list {
		reactions = append(reactions, Reaction{
			Operation: r.Operation, Type: r.Type, Emoji: r.Emoji, AIEmojiURL: r.AIEmojiURL, UserID: r.UniqueIdentifier, Time: timeOf(r.Timestamp),
			MessageID: r.OriginalMessageID,
		})
	}
	return reactions
}

// template is the card; nil if it shows nothing.
func template(t *tiktok.Template) *Template {
	if t == nil || (t.Type == "" && len(t.Elements) == 0) {
		return nil
	}
	card := &Template{Type: t.Type}
	for _, e := range t.Elements {
		element := TemplateElement{Title: e.Title}
		for _, b := range e.Buttons {
			element.Buttons = append(element.Buttons, Button{Type: b.Type, ID: b.ID, Text: b.Text})
		}
		card.Elements = append(card.Elements, element)
	}
	return card
}

// timeOf is a time to be written; nil if there is none, or none that RFC 3339 can express.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() || !representable(t) {
		return nil
	}
	t = t.UTC()
	return &t
}
