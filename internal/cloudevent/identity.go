package cloudevent

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const idPrefix = "evt_"

// Identify makes the id of an event of TikTok's, and names its conversation. The same event has the same id each time TikTok sends it, and
// also where it is found in another way: by its message id where there is one (a message that is sent and one that is received are two events,
// though they may share that), else by its body.
func Identify(e *tiktok.Envelope, body []byte) (id, conversation string) {
	key := [2]string{"body", string(body)}
	if message, err := tiktok.DecodeMessageIdentity(e.Content); err == nil && len(e.Content) > 0 {
		conversation = message.ConversationID
		if message.MessageID != "" {
			key = [2]string{"message", message.MessageID}
			// Nobody says whether taking a reaction back has a message id of its own: what was done is part of the identity.
			key[1] += reactions(message)
		}
	}
	h := sha256.New()
	for _, part := range []string{e.UserOpenID, e.Event, key[0], key[1]} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return idPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]), conversation
}

// reactions tells what was done apart, in whatever order and form TikTok writes it. Of a picture's address only the path counts: what follows
// is a signature that changes.
func reactions(m *tiktok.MessageIdentity) string {
	var b strings.Builder
	for _, r := range m.Reactions {
		picture, _, _ := strings.Cut(r.AIEmojiURL, "?")
		fmt.Fprintf(&b, "\x00%q", []string{
			r.Operation, r.Type, r.Emoji, picture, r.UniqueIdentifier, r.OriginalMessageID, strconv.FormatInt(r.Timestamp.UnixMilli(), 10),
		})
	}
	return b.String()
}
