package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what is sent, in characters: code points, which is a guess for emoji.
const (
	maxText        = 6000
	maxTitle       = 40
	maxButtonLabel = 20
	maxLinkLabel   = 40
	maxButtonID    = 40
	maxButtons     = 3
)

// outgoing is a message to send, checked: the block of its type as the webhook writes it.
type outgoing struct {
	kind    string // as in webhooks
	block   map[string]any
	quoted  string
	mediaID string
}

func (s *Simulator) sendMessage(c *call) (any, *failure) {
	if c.params["recipient_type"] != "CONVERSATION" {
		return nil, refuse(codeParameter, "recipient_type: must be CONVERSATION.")
	}
	business, id := c.authorization.business, c.params["recipient"]
	if c.params["message_type"] == "SENDER_ACTION" {
		return s.act(c, business, id)
	}
	out, fail := s.outgoing(c, business)
	if fail != nil {
		return nil, fail
	}
	sent, fail := s.conversations.send(business, id, c.now, func(conv *conversation) (message, *failure) {
		return s.echoed(business, conv, out, c.now)
	})
	if fail != nil {
		return nil, fail
	}
	s.echo(business, sent)
	return map[string]any{"message": map[string]any{"message_id": sent.id}}, nil
}

// act is a sender action.
func (s *Simulator) act(c *call, business, id string) (any, *failure) {
	if len(c.objects) > 0 {
		return nil, refuse(codeParameter, "sender_action: a sender action has no content.")
	}
	var fail *failure
	known := s.conversations.change(business, id, func(conv *conversation) {
		if fail = conv.begun(); fail != nil {
			return
		}
		switch c.params["sender_action"] {
		case "TYPING":
			conv.typing = c.now.Add(typingFor)
		case "MARK_READ":
			conv.readByUs = c.now
		default:
			fail = refuse(codeParameter, "sender_action: must be one of TYPING, MARK_READ.")
		}
	})
	if !known {
		return nil, refuse(codeParameter, "conversation_id is invalid.")
	}
	return nil, fail
}

// outgoing checks the content: one block, that of the message's type.
func (s *Simulator) outgoing(c *call, business string) (outgoing, *failure) {
	types := map[string]string{"TEXT": "text", "IMAGE": "image", "SHARE_POST": "share_post", "TEMPLATE": "template"}
	name, known := types[c.params["message_type"]]
	if !known {
		return outgoing{}, refuse(codeParameter, "message_type: must be one of TEXT, IMAGE, SHARE_POST, TEMPLATE, SENDER_ACTION.")
	}
	if _, given := c.params["sender_action"]; given {
		return outgoing{}, refuse(codeParameter, "sender_action: only with the message_type SENDER_ACTION.")
	}
	for _, other := range []string{"text", "image", "share_post", "template"} {
		if _, given := c.objects[other]; given != (other == name) {
			return outgoing{}, refuse(codeParameter, "%s: a %s message has the field %s and no other content.", other, c.params["message_type"], name)
		}
	}
	out := outgoing{kind: name}
	if info, given := c.objects["referenced_message_info"]; given {
		var in struct {
			ID string `json:"referenced_message_id"`
		}
		if name != "text" {
			return out, refuse(codeParameter, "referenced_message_info: only with the message_type TEXT.")
		}
		if !strictly(info, &in) || in.ID == "" {
			return out, refuse(codeParameter, "referenced_message_info.referenced_message_id: Missing data for required field.")
		}
		out.quoted = in.ID
	}
	fail := s.fill(&out, c.objects[name], business, c.now)
	return out, fail
}

// fill checks the block of the type.
func (s *Simulator) fill(out *outgoing, block json.RawMessage, business string, now time.Time) *failure {
	switch out.kind {
	case "text":
		var in struct {
			Body string `json:"body"`
		}
		if !strictly(block, &in) {
			return refuse(codeParameter, "text: must hold body.")
		}
		out.block = map[string]any{"body": in.Body}
		return characters("text.body", in.Body, maxText)
	case "image":
		var in struct {
			MediaID string `json:"media_id"`
		}
		if !strictly(block, &in) || in.MediaID == "" {
			return refuse(codeParameter, "image.media_id: Missing data for required field.")
		}
		if _, known := s.media.find(business, in.MediaID, now); !known {
			return refuse(codeParameter, "image.media_id: it does not exist, or has expired.")
		}
		out.mediaID, out.block = in.MediaID, map[string]any{"media_id": in.MediaID}
	case "share_post":
		var in struct {
			ItemID string `json:"item_id"`
		}
		if !strictly(block, &in) || in.ItemID == "" {
			return refuse(codeParameter, "share_post.item_id: Missing data for required field.")
		}
		if !s.ownPost(business, in.ItemID) {
			return refuse(codeParameter, "share_post.item_id: it is not a post of this business.")
		}
		out.block = postBlock(in.ItemID)
	case "template":
		return out.card(block)
	}
	return nil
}

// postBlock is a shared post as webhooks write it.
func postBlock(id string) map[string]any {
	return map[string]any{"video_id": id, "embed_url": "https://www.tiktok.com/player/v1/" + id}
}

func (s *Simulator) ownPost(business, id string) bool {
	b, _ := s.accounts.get(business)
	if len(b.Posts) > 0 {
		return slices.Contains(b.Posts, id)
	}
	return len(id) <= 20 && strings.Trim(id, "0123456789") == ""
}

func (out *outgoing) card(block json.RawMessage) *failure {
	var in struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Buttons []struct {
			Type  string `json:"type"`
			Title string `json:"title"`
			ID    string `json:"id"`
		} `json:"buttons"`
	}
	labels := map[string]int{"QA_BUTTON_CARD": maxButtonLabel, "QA_LINK_CARD": maxLinkLabel}
	if !strictly(block, &in) || labels[in.Type] == 0 {
		return refuse(codeParameter, "template: must hold type (QA_BUTTON_CARD or QA_LINK_CARD), title and buttons.")
	}
	if fail := characters("template.title", in.Title, maxTitle); fail != nil {
		return fail
	}
	if len(in.Buttons) < 1 || len(in.Buttons) > maxButtons {
		return refuse(codeParameter, "template.buttons: must be 1 to %d.", maxButtons)
	}
	buttons := make([]any, 0, len(in.Buttons))
	for _, b := range in.Buttons {
		if b.Type != "REPLY" {
			return refuse(codeParameter, "template.buttons.type: must be REPLY.")
		}
		if fail := characters("template.buttons.title", b.Title, labels[in.Type]); fail != nil {
			return fail
		}
		if fail := characters("template.buttons.id", b.ID, maxButtonID); fail != nil {
			return fail
		}
		buttons = append(buttons, map[string]any{"text": b.Title, "type": "reply", "id": b.ID})
	}
	out.block = map[string]any{
		"type": strings.ToLower(in.Type), "elements": []any{map[string]any{"title": in.Title, "buttons": buttons}},
	}
	return nil
}

func characters(name, text string, limit int) *failure {
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return refuse(codeParameter, "%s: Missing data for required field.", name)
	case n > limit:
		return refuse(codeParameter, "%s: Longer than maximum length %d.", name, limit)
	}
	return nil
}

// strictly decodes an object whose fields are all known.
func strictly(block json.RawMessage, into any) bool {
	d := json.NewDecoder(bytes.NewReader(block))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil
}

// echoed is the message as its webhook and the lists show it.
func (s *Simulator) echoed(business string, conv *conversation, out outgoing, now time.Time) (message, *failure) {
	if out.quoted != "" && !slices.ContainsFunc(conv.messages, func(m message) bool { return m.id == out.quoted }) {
		return message{}, refuse(codeParameter, "referenced_message_info.referenced_message_id: there is no such message in the conversation.")
	}
	if out.mediaID != "" && conv.noImages {
		return message{}, refuse(codeBlocked, "Images cannot be sent in this conversation.")
	}
	b, _ := s.accounts.get(business)
	m := message{id: s.number(), conversation: conv.id, outbound: true}
	content := map[string]any{
		"from": b.Username, "to": conv.username, "from_user": map[string]any{"id": b.OpenID, "role": "business_account"}, "to_user": conv.user,
		"unique_identifier": conv.uniqueID, "conversation_id": conv.id, "timestamp": now.UnixMilli(), "is_follower": true, "scene_type": 1,
		"message_id": m.id, "type": out.kind, out.kind: out.block, "message_tag": map[string]any{"source": "API"},
	}
	if out.quoted != "" {
		content["referenced_message_info"] = map[string]any{"referenced_message_id": out.quoted}
	}
	m.content = encode(content)
	return m, nil
}

// echo tells the app of its own message, in the background: the webhook may arrive before the answer. Without a webhook nobody is told.
func (s *Simulator) echo(business string, m message) {
	n, err := s.compose(Event{Event: eventSend, Business: business, Content: m.content})
	if err != nil {
		s.log.Error(err, "An echo could not be made", "business", business)
		return
	}
	n.message = nil // the lists show it already
	if s.deliverable(n) != nil {
		return
	}
	s.life.spawn(func(ctx context.Context) { s.deliver(ctx, n) })
}
