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
// also where it is found in another way: a message by its id (one that is sent and one that is received are two events, though they may share
// that), every other event by its body.
func Identify(e *tiktok.Envelope, body []byte) (id, conversation string) {
	message, err := tiktok.DecodeMessageIdentity(e.Content)
	if err != nil {
		message = nil
	}
	return identify(e, message, body)
}

// Decode decodes a webhook's body and identifies the event, as tiktok.DecodeEnvelope and Identify do one after the other.
func Decode(body []byte) (e *tiktok.Envelope, id, conversation string, err error) {
	e, message, err := tiktok.DecodeIdentified(body)
	if err != nil {
		return nil, "", "", err
	}
	id, conversation = identify(e, message, body)
	return e, id, conversation, nil
}

// identify takes no message for one that has no identity.
func identify(e *tiktok.Envelope, message *tiktok.MessageIdentity, body []byte) (id, conversation string) {
	kind, key := "body", ""
	if message != nil {
		conversation = message.ConversationID
		if message.MessageID != "" && isMessage(e.Event) {
			// Nobody says whether taking a reaction back has a message id of its own: what was done is part of the identity.
			kind, key = "message", message.MessageID+reactions(message)
		}
	}
	if kind == "body" {
		key = string(body)
	}
	var space [256]byte
	text := space[:0]
	for _, part := range []string{e.UserOpenID, e.Event, kind, key} {
		text = append(append(strconv.AppendInt(text, int64(len(part)), 10), ':'), part...)
	}
	sum := sha256.Sum256(text)
	return idPrefix + base64.RawURLEncoding.EncodeToString(sum[:18]), conversation
}

// isMessage says whether an event is a message itself. Others may name one, and come more than once for it, each time with something else to
// say: so may those that TikTok adds later. A message is known by its id alone, whatever its kind: a list of messages calls kinds by other names
// than a webhook does, or not at all.
func isMessage(event string) bool {
	switch TypeOf(event) {
	case TypeMessageReceived, TypeMessageSent:
		return true
	default:
		return false
	}
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
