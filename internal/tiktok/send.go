package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// CardType says how a card's buttons look.
type CardType string

// Types of cards.
const (
	CardButtons CardType = "QA_BUTTON_CARD"
	CardLinks   CardType = "QA_LINK_CARD"
)

// Card is a question with answers to tap.
type Card struct {
	Type    CardType
	Title   string
	Buttons []CardButton
}

// CardButton is an answer: Title is what the user reads, ID what comes back when it is tapped.
type CardButton struct{ Title, ID string }

// OutgoingMessage is a message to send: exactly one of Text, ImageMediaID, PostID and Card.
type OutgoingMessage struct {
	Text string
	// ImageMediaID is what UploadImage gave.
	ImageMediaID string
	// PostID is a post of the business's own.
	PostID string
	Card   *Card
	// QuotedMessageID is the message that a text answers; "" for none.
	QuotedMessageID string
}

// SenderAction is something that the other side sees, and that is no message.
type SenderAction string

// Actions.
const (
	// ActionTyping shows for five seconds.
	ActionTyping SenderAction = "TYPING"
	// ActionMarkRead marks all messages of the conversation as read.
	ActionMarkRead SenderAction = "MARK_READ"
)

type (
	sendWire struct {
		BusinessID    string        `json:"business_id"`
		RecipientType string        `json:"recipient_type"`
		Recipient     string        `json:"recipient"`
		MessageType   string        `json:"message_type"`
		Text          *sendText     `json:"text,omitempty"`
		Image         *sendImage    `json:"image,omitempty"`
		SharePost     *sendPost     `json:"share_post,omitempty"`
		Template      *sendTemplate `json:"template,omitempty"`
		SenderAction  SenderAction  `json:"sender_action,omitempty"`
		Referenced    *sendQuote    `json:"referenced_message_info,omitempty"`
	}
	sendText struct {
		Body string `json:"body"`
	}
	sendImage struct {
		MediaID string `json:"media_id"`
	}
	sendPost struct {
		ItemID string `json:"item_id"`
	}
	sendTemplate struct {
		Type    CardType     `json:"type"`
		Title   string       `json:"title"`
		Buttons []sendButton `json:"buttons"`
	}
	sendButton struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		ID    string `json:"id"`
	}
	sendQuote struct {
		ID string `json:"referenced_message_id"`
	}
)

const sendEndpoint = "business/message/send/"

// SendMessage sends a message into a conversation and returns its id. TikTok knows no idempotency: after an error that is not NotSent and has
// no code, whether the message was sent is not known.
func (c *Client) SendMessage(
	ctx context.Context, accessToken Secret, businessID, conversationID string, m OutgoingMessage,
) (messageID string, err error) {
	w := sendWire{BusinessID: businessID, RecipientType: "CONVERSATION", Recipient: conversationID}
	if err := w.put(m); err != nil {
		return "", c.unsendable(sendEndpoint, err, accessToken)
	}
	var data sentWire
	if err := c.sendInto(ctx, accessToken, w, &data); err != nil {
		return "", err
	}
	return string(data.Message.value.ID), nil
}

// SendAction shows the user that the business types, or that it has read.
func (c *Client) SendAction(ctx context.Context, accessToken Secret, businessID, conversationID string, action SenderAction) error {
	if action != ActionTyping && action != ActionMarkRead {
		return c.unsendable(sendEndpoint, errors.New("the sender action is none of TikTok's"), accessToken)
	}
	return c.sendInto(ctx, accessToken, sendWire{
		BusinessID: businessID, RecipientType: "CONVERSATION", Recipient: conversationID, MessageType: "SENDER_ACTION", SenderAction: action,
	}, nil)
}

func (c *Client) sendInto(ctx context.Context, accessToken Secret, w sendWire, out any) error {
	if w.BusinessID == "" || w.Recipient == "" {
		return c.unsendable(sendEndpoint, errors.New("the request lacks business_id or recipient"), accessToken)
	}
	body, err := json.Marshal(w)
	if err != nil { // strings always can be written
		return c.unsendable(sendEndpoint, errors.New("the message cannot be encoded"), accessToken)
	}
	return c.do(ctx, call{
		method: http.MethodPost, endpoint: sendEndpoint, accessToken: &accessToken, payload: &payload{"application/json", body},
	}, out)
}

// put writes the message's one content. TikTok's limits are the business of others; that there is one content is a matter of form.
func (w *sendWire) put(m OutgoingMessage) error {
	given := 0
	if m.Text != "" {
		given++
		w.MessageType, w.Text = "TEXT", &sendText{m.Text}
	}
	if m.ImageMediaID != "" {
		given++
		w.MessageType, w.Image = "IMAGE", &sendImage{m.ImageMediaID}
	}
	if m.PostID != "" {
		given++
		w.MessageType, w.SharePost = "SHARE_POST", &sendPost{m.PostID}
	}
	if m.Card != nil {
		given++
		t := &sendTemplate{Type: m.Card.Type, Title: m.Card.Title, Buttons: []sendButton{}}
		for _, b := range m.Card.Buttons {
			t.Buttons = append(t.Buttons, sendButton{"REPLY", b.Title, b.ID})
		}
		w.MessageType, w.Template = "TEMPLATE", t
	}
	if given != 1 {
		return errors.New("a message is one text, one image, one post or one card")
	}
	if m.QuotedMessageID != "" {
		if w.Text == nil {
			return errors.New("only a text can quote a message")
		}
		w.Referenced = &sendQuote{m.QuotedMessageID}
	}
	return nil
}

// unsendable is the error of a call that is not made.
func (c *Client) unsendable(endpoint string, err error, secrets ...Secret) *Error {
	return &Error{
		Class: ClassPermanent, Endpoint: endpoint, NotSent: true, Message: bound(err.Error(), append(secrets, c.config.AppSecret)),
	}
}

// sentWire: the id of a message that was sent must be there, or what becomes of it could not be told.
type sentWire struct {
	Message optional[struct {
		ID text `json:"message_id"`
	}] `json:"message"`
}

func (w *sentWire) lacks() string {
	if w.Message.value.ID == "" {
		return "message.message_id"
	}
	return ""
}
