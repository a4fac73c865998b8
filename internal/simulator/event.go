package simulator

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Events whose content is made up where none is given.
const (
	eventReceive   = "im_receive_msg"
	eventSend      = "im_send_msg"
	eventRead      = "im_mark_read_msg"
	eventReceiveEU = "im_receive_msg_eu"
	eventRemoved   = "authorization.removed"
)

// Event is something that happens at TikTok and is told by webhook.
type Event struct {
	// Event is TikTok's name. Default: im_receive_msg. Content is made up for im_receive_msg, im_send_msg, im_mark_read_msg,
	// im_receive_msg_eu and authorization.removed; the others need Content.
	Event string `json:"event,omitempty"`
	// Business that it happens to. Default: the first.
	Business string `json:"business,omitempty"`
	// User is the username of the TikTok user. Default: alice.
	User string `json:"user,omitempty"`
	// Text of a message; of im_receive_msg_eu, whose webhook has none, for the content list. Default: hi.
	Text string `json:"text,omitempty"`
	// Kind of an im_receive_msg: "text" (default), "image", "sticker", "post" or "tap".
	Kind string `json:"kind,omitempty"`
	// Image is the file of an image, JPEG or PNG; in JSON as base64. Default: a small one.
	Image []byte `json:"image,omitempty"`
	// Post is the id of a post that is shared. Default: a made-up one.
	Post string `json:"post,omitempty"`
	// Card is the message id of a card that the business sent, and Button the id of its button that the user taps.
	Card   string `json:"card,omitempty"`
	Button string `json:"button,omitempty"`
	// Conversation is made from Business and User where it is left out, MessageID is a new one.
	Conversation string `json:"conversation,omitempty"`
	MessageID    string `json:"messageID,omitempty"`
	// Content is a JSON object that replaces the content that would be made up.
	Content json.RawMessage `json:"content,omitempty"`
	// Signature is "valid" (default), "wrong", "missing" or "old" (73 hours). Only a valid one is sent again: the others are not TikTok's.
	Signature string `json:"signature,omitempty"`
	// NoRetry gives up after the first attempt.
	NoRetry bool `json:"noRetry,omitempty"`
	// NoWait returns before the first attempt, which is then made in the background.
	NoWait bool `json:"-"`
}

// notification is an event as it goes over the wire, and what is known of its delivery.
type notification struct {
	body      []byte
	signature string
	retry     bool
	delivery  Delivery
	// message that the lists show from now on; nil if there is none.
	message *message
	// read: the user has read the conversation.
	read bool
}

func (e Event) validate() error {
	switch {
	case !slices.Contains([]string{"", "valid", "wrong", "missing", "old"}, e.Signature):
		return fmt.Errorf("signature %q is not known: it must be valid, wrong, missing or old", e.Signature)
	case !slices.Contains([]string{"", kindText, kindImage, kindSticker, kindPost, kindTap}, e.Kind):
		return fmt.Errorf("kind %q is not known: it must be text, image, sticker, post or tap", e.Kind)
	case e.Kind != "" && e.Kind != kindText && ((e.Event != "" && e.Event != eventReceive) || len(e.Content) > 0):
		return errors.New("kind is for im_receive_msg without content")
	case len(e.Image) > 0 && e.Kind != kindImage:
		return errors.New("image needs the kind image")
	case e.Post != "" && e.Kind != kindPost:
		return errors.New("post needs the kind post")
	case (e.Card != "") != (e.Kind == kindTap), (e.Button != "") != (e.Kind == kindTap):
		return errors.New("the kind tap needs card and button, and they need it")
	case len(e.Content) > 0 && (!json.Valid(e.Content) || bytes.TrimLeft(e.Content, " \t\r\n")[0] != '{'):
		return errors.New("content must be a JSON object")
	case len(e.Content) == 0 && !madeUp(e.Event):
		return fmt.Errorf("content is required for the event %q: its content is not made up", e.Event)
	}
	return nil
}

func madeUp(event string) bool {
	return slices.Contains([]string{"", eventReceive, eventSend, eventRead, eventReceiveEU, eventRemoved}, event)
}

// compose fills an event in and writes it as TikTok does: the content is a string of JSON.
func (s *Simulator) compose(e Event) (*notification, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	business, known := s.accounts.find(e.Business)
	if !known {
		return nil, fmt.Errorf("there is no business %q: add it with POST /admin/businesses", e.Business)
	}
	e.Event, e.Business = cmp.Or(e.Event, eventReceive), business.OpenID
	e.User, e.Text = cmp.Or(e.User, "alice"), cmp.Or(e.Text, "hi")
	now := s.opts.Clock.Now()
	n := &notification{
		signature: cmp.Or(e.Signature, "valid"),
		delivery:  Delivery{Event: e.Event, Business: e.Business},
	}
	n.retry = n.signature == "valid" && !e.NoRetry
	content := e.Content
	if len(content) == 0 {
		e.Conversation = cmp.Or(e.Conversation, conversationOf(e.Business, e.User))
		e.MessageID = cmp.Or(e.MessageID, s.number())
		made := contentOf(e, business, now)
		if err := s.illustrate(made, e, now); err != nil {
			return nil, err
		}
		var err error
		if content, err = json.Marshal(made); err != nil {
			return nil, fmt.Errorf("encoding the content: %w", err)
		}
	}
	n.read = e.Event == eventRead && n.retry
	n.delivery.MessageID, n.delivery.ConversationID = idsOf(content)
	shown := content
	if e.Event == eventReceiveEU && len(e.Content) == 0 { // what the webhook is silent about
		n.delivery.MessageID, n.delivery.ConversationID = e.MessageID, e.Conversation
		e.Event = eventReceive
		var err error
		if shown, err = json.Marshal(contentOf(e, business, now)); err != nil {
			return nil, fmt.Errorf("encoding the message: %w", err)
		}
	}
	if n.signature != "wrong" && n.signature != "missing" { // those are not TikTok's
		n.message = messageOf(e.Event, shown)
	}
	body, err := json.Marshal(struct {
		ClientKey  string `json:"client_key"`
		Event      string `json:"event"`
		CreateTime int64  `json:"create_time"`
		UserOpenID string `json:"user_openid"`
		Content    string `json:"content"`
	}{s.opts.AppID, n.delivery.Event, now.Unix(), e.Business, string(content)})
	if err != nil {
		return nil, fmt.Errorf("encoding the envelope: %w", err)
	}
	n.body = body
	return n, nil
}

func contentOf(e Event, b Business, now time.Time) map[string]any {
	business := map[string]any{"id": b.OpenID, "role": "business_account"}
	user := map[string]any{"id": userID(e.User), "role": "personal_account"}
	switch e.Event {
	case eventReceiveEU:
		return map[string]any{"to": b.Username, "to_user": business, "timestamp": now.UnixMilli()}
	case eventRemoved:
		return map[string]any{"reason": 1} // the user disconnected
	}
	content := map[string]any{
		"from": e.User, "to": b.Username, "from_user": user, "to_user": business, "unique_identifier": "uid-" + e.User,
		"conversation_id": e.Conversation, "timestamp": now.UnixMilli(), "is_follower": true, "scene_type": 1,
	}
	switch e.Event {
	case eventReceive:
		content["message_id"], content["type"], content["text"] = e.MessageID, "text", map[string]any{"body": e.Text}
	case eventSend: // by a colleague, in the TikTok app
		content["from"], content["to"], content["from_user"], content["to_user"] = b.Username, e.User, business, user
		content["message_id"], content["type"], content["text"] = e.MessageID, "text", map[string]any{"body": e.Text}
		content["message_tag"] = map[string]any{"source": "APP"}
	case eventRead:
		content["read"] = map[string]any{"last_read_timestamp": now.UnixMilli()}
	}
	return content
}

// idsOf are the ids in a content, where it has them.
func idsOf(content json.RawMessage) (messageID, conversationID string) {
	var ids struct {
		MessageID      any `json:"message_id"`
		ConversationID any `json:"conversation_id"`
	}
	_ = json.Unmarshal(content, &ids) // it is a JSON object; other types than strings are a tester's choice
	messageID, _ = ids.MessageID.(string)
	conversationID, _ = ids.ConversationID.(string)
	return messageID, conversationID
}

func userID(username string) string { return "user-" + username }

// conversationOf makes an id like TikTok's: always the same for the two, it looks like base64 and always holds '+', '/' and '=', which must
// be escaped in a query.
func conversationOf(business, user string) string {
	sum := sha256.Sum256([]byte(business + "\x00" + user))
	return base64.RawStdEncoding.EncodeToString(sum[:12]) + "+/" + base64.RawStdEncoding.EncodeToString(sum[12:15]) + "=="
}
