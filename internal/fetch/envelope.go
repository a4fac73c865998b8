package fetch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	// eventReceive is the event that the webhook of a user's message has elsewhere.
	eventReceive = "im_receive_msg"
	// eventReceiveEU is the event that tells of a message without holding it.
	eventReceiveEU = "im_receive_msg_eu"
)

// message is one that a user wrote, as it is stored.
type message struct {
	id, conversation string
	at               time.Time
	body             []byte
}

// received makes of a listed message what its webhook would have been. The same message always makes the same bytes.
func received(appID, businessID string, m tiktok.ConversationMessage) (message, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		ClientKey  string `json:"client_key"`
		Event      string `json:"event"`
		CreateTime int64  `json:"create_time"`
		UserOpenID string `json:"user_openid"`
		Content    string `json:"content"`
		Fetched    bool   `json:"fetched"`
	}{appID, eventReceive, m.Timestamp.Unix(), businessID, string(m.Content), true})
	if err != nil {
		return message{}, fmt.Errorf("encoding a fetched message: %w", err)
	}
	raw := bytes.TrimSpace(body.Bytes())
	envelope, err := tiktok.DecodeEnvelope(raw)
	if err != nil {
		return message{}, fmt.Errorf("reading a fetched message back: %w", err)
	}
	id, conversation := cloudevent.Identify(envelope, raw)
	return message{id: id, conversation: conversation, at: m.Timestamp, body: raw}, nil
}
