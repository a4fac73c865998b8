package conversations

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is how much of a message a table shows, in characters.
const maxText = 60

// conversation is what a table shows of one.
type conversation struct {
	ID          string
	User        *person
	UserID      string
	IsFollower  *bool
	UpdatedAt   *time.Time
	ReadUpTo    *time.Time
	Window      window
	LastMessage *message
}

// userID is the user's, the same across TikTok's APIs, if that is known.
func (c *conversation) userID() string { return dash(plain(c.UserID)) }

func (c *conversation) follows() string {
	if c.IsFollower == nil {
		return "-"
	}
	return map[bool]string{true: "yes", false: "no"}[*c.IsFollower]
}

type person struct{ ID, Username, Role string }

func (p *person) name() string {
	if p == nil {
		return "-"
	}
	return plain(cmp.Or(p.Username, p.ID, p.Role, "-"))
}

// window says what the business may send.
type window struct {
	Known, Open  bool
	Until        *time.Time
	MessagesLeft *int
}

// String implements fmt.Stringer.
func (w window) String() string {
	if !w.Known {
		return "unknown"
	}
	if !w.Open {
		return "closed"
	}
	text := "open"
	if w.Until != nil {
		text += " until " + w.Until.Local().Format(time.DateTime)
	}
	if w.MessagesLeft != nil {
		text += fmt.Sprintf(", %d left", *w.MessagesLeft)
	}
	return text
}

// message is what a table shows of one.
type message struct {
	ID, SendID, IdempotencyKey string
	Status, Explanation        string
	Time                       time.Time
	Data                       struct {
		Text, Kind, Direction string
		Sender                *person
	}
}

func (m *message) from() string {
	if m.Data.Sender == nil {
		return cmp.Or(m.Data.Direction, "-")
	}
	return m.Data.Sender.name()
}

func (m *message) text() string {
	if m == nil {
		return "-"
	}
	if m.Data.Text == "" {
		return "[" + cmp.Or(m.Data.Kind, "empty") + "]"
	}
	return plain(m.Data.Text)
}

// plain makes what a user wrote fit for a cell: one line of some length, without what a terminal would obey.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText-1]) + "…"
	}
	return text
}
