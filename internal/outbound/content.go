package outbound

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// digest stands for texts in keys and ids.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// request stands for what is asked for: the same message to the same conversation has the same one.
func request(conversationID string, m messaging.Message, image []byte) (string, error) {
	picture := sha256.Sum256(image)
	text, err := json.Marshal(struct {
		Conversation string
		Message      messaging.Message
		Image        []byte
	}{conversationID, m, picture[:]})
	if err != nil {
		return "", fmt.Errorf("encoding a message: %w", err)
	}
	return digest(string(text)), nil
}

// summarize is what TikTok's webhook of the message will say, in short.
func summarize(m messaging.Message) cloudevent.ContentSummary {
	switch {
	case m.Text != "":
		return *cloudevent.Summarize("text", m.Text)
	case m.PostID != "":
		return *cloudevent.Summarize("share_post", "")
	case m.Card != nil:
		return *cloudevent.Summarize("template", m.Card.Title)
	default:
		return *cloudevent.Summarize("image", "")
	}
}

// outgoing is the message as TikTok's client takes it. The rules have passed it.
func outgoing(m messaging.Message, mediaID string) tiktok.OutgoingMessage {
	out := tiktok.OutgoingMessage{Text: m.Text, ImageMediaID: m.ImageMediaID, PostID: m.PostID, QuotedMessageID: m.QuotedMessageID}
	if mediaID != "" {
		out.ImageMediaID = mediaID
	}
	if m.Card != nil {
		out.Card = &tiktok.Card{Type: tiktok.CardButtons, Title: m.Card.Title}
		if m.Card.Kind == messaging.CardLinks {
			out.Card.Type = tiktok.CardLinks
		}
		for _, b := range m.Card.Buttons {
			out.Card.Buttons = append(out.Card.Buttons, tiktok.CardButton{Title: b.Label, ID: b.ID})
		}
	}
	return out
}
