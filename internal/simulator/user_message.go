package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// shownMessage is a message as the user reads it.
type shownMessage struct {
	ID, From, Time, State, Text, Image, Quoted string
	// Mine: the user sent it.
	Mine    bool
	Buttons []cardButton
	at      time.Time
}

// Since is when it was sent, for machines.
func (m shownMessage) Since() string { return m.at.Format(time.RFC3339) }

// shown is a message for the page; texts are those of the messages before, for quotes.
func (s *Simulator) shown(b Business, m message, texts map[string]string) shownMessage {
	var c struct {
		Timestamp json.Number
		Type      json.RawMessage
		Text      struct{ Body string }
		SharePost struct {
			VideoID string `json:"video_id"`
		} `json:"share_post"`
		Referenced struct {
			ID string `json:"referenced_message_id"`
		} `json:"referenced_message_info"`
	}
	_ = json.Unmarshal(m.content, &c) // what a tester made otherwise is shown by its type
	out := shownMessage{ID: m.id, From: "You", Mine: !m.outbound, Text: c.Text.Body}
	if m.outbound {
		out.From = b.String()
	}
	if ms, err := c.Timestamp.Int64(); err == nil {
		out.at = time.UnixMilli(ms).UTC()
		out.Time = clockTime(out.at)
	}
	switch kind := stringOf(c.Type); kind {
	case "image":
		out.Image = userPath + "/media?" + url.Values{"business": {b.OpenID}, "id": {mediaOf(m.content)}}.Encode()
	case "share_post":
		out.Text = "Shared post " + c.SharePost.VideoID
	case "sticker":
		out.Text = "Sticker: a waving hand"
	case "template":
		shown := cardOf(m.content)
		out.Text, out.Buttons = shown.Title, shown.Buttons
	case "text":
	default:
		out.Text = "A message of the type " + kind
	}
	if c.Referenced.ID != "" {
		out.Quoted = cmp.Or(texts[c.Referenced.ID], "an earlier message")
	}
	texts[m.id] = out.Text
	if out.Image != "" {
		texts[m.id] = "an image"
	}
	return out
}

// undelivered says of the messages of a conversation whose last webhook was not taken why, in words.
func (s *Simulator) undelivered(conversation string) map[string]string {
	out := map[string]string{}
	for _, d := range s.Deliveries() {
		switch {
		case d.ConversationID != conversation:
		case d.Status == 0:
			out[d.MessageID] = "the app did not answer its webhook"
		case d.Status != http.StatusOK:
			out[d.MessageID] = fmt.Sprintf("the app answered its webhook with HTTP %d", d.Status)
		default:
			delete(out, d.MessageID)
		}
	}
	return out
}

// card is a question with buttons that the business sent.
type card struct {
	Title   string
	Buttons []cardButton
}

type cardButton struct{ ID, Label string }

// cardOf is the card in a message's content.
func cardOf(content json.RawMessage) card {
	var m struct {
		Template struct {
			Elements []struct {
				Title   string
				Buttons []struct{ Text, ID string }
			}
		}
	}
	_ = json.Unmarshal(content, &m) // other types are a tester's choice
	var (
		out    card
		titles []string
	)
	for _, e := range m.Template.Elements {
		titles = append(titles, e.Title)
		for _, b := range e.Buttons {
			out.Buttons = append(out.Buttons, cardButton{ID: b.ID, Label: b.Text})
		}
	}
	out.Title = strings.Join(titles, "\n")
	return out
}

// clockTime is a time for a person.
func clockTime(at time.Time) string { return at.UTC().Format(time.DateTime) + " UTC" }
