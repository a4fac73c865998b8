package tiktok

import (
	"encoding/json"
	"errors"
	"strings"
)

// ErrContent says that content is not an object, or that a part of it that carries the message has another shape than documented.
var ErrContent = errors.New("the content is not what the event should hold")

// DecodeMessageContent reads the content of an envelope. Every field may be missing. Parts that carry the message must have their documented
// shape, else the error is ErrContent: a message without its text is not to be taken for an empty one. Parts that only accompany it are left
// out where they are odd.
func DecodeMessageContent(raw json.RawMessage) (*MessageContent, error) {
	var w messageWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, ErrContent // the decoder's words may quote the message
	}
	m := &MessageContent{
		From: string(w.From), To: string(w.To), FromUser: w.FromUser.participant(), ToUser: w.ToUser.participant(),
		UniqueIdentifier: string(w.UniqueIdentifier), ConversationID: string(w.ConversationID), MessageID: string(w.MessageID),
		Type: lower(w.Type), Timestamp: unixTime(w.Timestamp), SceneType: string(w.SceneType), IsFollower: w.IsFollower.value,
		Text: string(w.Text.Body), MediaID: string(w.Image.MediaID), EmbedURL: string(w.SharePost.EmbedURL), VideoID: string(w.SharePost.VideoID),
		StickerURL: string(w.Sticker.value.URL), EmojiURL: string(w.Emoji.value.URL),
		ReferencedMessageID: string(w.Referenced.value.ID), Source: upper(w.Tag.value.Source), AutoMessageType: upper(w.AutoMessageType),
		LastReadTimestamp: unixTime(w.Read.value.Last), CommentID: string(w.CommentID), CommentText: string(w.CommentText),
	}
	if m.MediaID == "" {
		m.MediaID = string(w.Video.MediaID)
	}
	if s := w.ReplySource.value; s != nil {
		m.ReplySource = &ReplySource{MessageID: string(s.MessageID), UniqueID: string(s.UniqueID)}
	}
	m.Reactions = reactionsOf(w.Reaction.value)
	m.Template, m.Referral = w.Template.value.template(), w.Referral.value.referral()
	return m, nil
}

// MessageIdentity is what tells one message from another.
type MessageIdentity struct {
	// ConversationID and MessageID are "" where they are missing.
	ConversationID, MessageID string
	// Reactions that the message is, if it is any.
	Reactions []Reaction
}

// DecodeMessageIdentity reads of a message's content only what tells it from others, which takes a fraction of the time. The error is
// ErrContent where DecodeMessageContent has it because the content is no object.
func DecodeMessageIdentity(raw json.RawMessage) (*MessageIdentity, error) {
	var w struct {
		ConversationID text                     `json:"conversation_id"`
		MessageID      text                     `json:"message_id"`
		Reaction       optional[[]reactionWire] `json:"reaction"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, ErrContent
	}
	return &MessageIdentity{
		ConversationID: string(w.ConversationID), MessageID: string(w.MessageID), Reactions: reactionsOf(w.Reaction.value),
	}, nil
}

func reactionsOf(wire []reactionWire) []Reaction {
	var out []Reaction
	for _, r := range wire {
		out = append(out, Reaction{
			Operation: upper(r.Operation), Type: upper(r.Type), Emoji: string(r.Emoji), AIEmojiURL: string(r.AIEmojiURL),
			UniqueIdentifier: string(r.UniqueIdentifier), Timestamp: unixTime(r.Timestamp), OriginalMessageID: string(r.OriginalMessageID),
		})
	}
	return out
}

func lower(t text) string { return strings.ToLower(string(t)) }
func upper(t text) string { return strings.ToUpper(string(t)) }

func (p participantWire) participant() Participant {
	return Participant{ID: string(p.ID), Role: Role(lower(p.Role))}
}

func (w *templateWire) template() *Template {
	if w == nil {
		return nil
	}
	t := &Template{Type: lower(w.Type)}
	for _, e := range w.Elements {
		element := TemplateElement{Title: string(e.Title)}
		for _, b := range e.Buttons {
			element.Buttons = append(element.Buttons, Button{Type: lower(b.Type), ID: string(b.ID), Text: string(b.Text)})
		}
		t.Elements = append(t.Elements, element)
	}
	return t
}

func (w *referralWire) referral() *Referral {
	if w == nil {
		return nil
	}
	r := &Referral{Source: lower(w.Source)}
	if a := w.Ad; a != nil {
		r.Ad = &ReferralAd{
			AdvertiserID: string(a.AdvertiserID), AdID: string(a.AdID), AdName: string(a.AdName), Timestamp: unixTime(a.Timestamp),
			EmbedURL: string(a.EmbedURL), MessageMaterialID: string(a.MessageMaterialID),
		}
	}
	if l := w.ShortLink; l != nil {
		r.ShortLink = &ReferralShortLink{
			Ref: string(l.Ref), PrefilledMessage: string(l.PrefilledMessage), PrefilledMessageAuditStatus: string(l.AuditStatus),
		}
	}
	return r
}
