package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const idPrefix = "evt_"

// identify makes the id of an event, and names its conversation. The same event has the same id each time TikTok sends it: by its message id
// where there is one (a message that is sent and one that is received are two events, though they may share that), else by its body.
func identify(e *tiktok.Envelope, body []byte) (id, conversation string) {
	key := [2]string{"body", string(body)}
	if message, err := tiktok.DecodeMessageContent(e.Content); err == nil && len(e.Content) > 0 {
		conversation = message.ConversationID
		if message.MessageID != "" {
			key = [2]string{"message", message.MessageID}
			// Nobody says whether taking a reaction back has a message id of its own: what was done is part of the identity.
			key[1] += reaction(e.Content)
		}
	}
	h := sha256.New()
	for _, part := range []string{e.UserOpenID, e.Event, key[0], key[1]} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return idPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]), conversation
}

func reaction(content json.RawMessage) string {
	var c struct {
		Reaction json.RawMessage `json:"reaction"`
	}
	var compact bytes.Buffer
	if json.Unmarshal(content, &c) != nil || len(c.Reaction) == 0 || json.Compact(&compact, c.Reaction) != nil {
		return ""
	}
	return "\x00" + compact.String()
}
