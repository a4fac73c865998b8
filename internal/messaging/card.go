package messaging

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of cards, in characters.
const (
	MaxCardTitle   = 40
	MaxButtons     = 3
	MaxButtonLabel = 20
	MaxLinkLabel   = 40
	MaxButtonID    = 40
)

func cardRule(m Message, _ Conversation, _ time.Time) finding {
	if m.Card == nil {
		return fine
	}
	label := MaxButtonLabel
	switch m.Card.Kind {
	case CardButtons:
	case CardLinks:
		label = MaxLinkLabel
	default:
		return certain(refuse(ReasonCardInvalid, "The card is of no known kind. Make it one of %s and %s.", CardButtons, CardLinks))
	}
	if n := len(m.Card.Buttons); n < 1 || n > MaxButtons {
		return certain(refuse(ReasonCardInvalid, "The card has %d buttons, and TikTok takes 1 to %d.", n, MaxButtons))
	}
	worst := cardText("The card's title", m.Card.Title, MaxCardTitle)
	for i, b := range m.Card.Buttons {
		for _, f := range []finding{
			cardText(fmt.Sprintf("The label of button %d", i+1), b.Label, label),
			cardText(fmt.Sprintf("The id of button %d", i+1), b.ID, MaxButtonID),
		} {
			if worst.Refusal == nil || worst.doubtful && f.Refusal != nil && !f.doubtful {
				worst = f
			}
		}
	}
	return worst
}

func cardText(what, text string, limit int) finding {
	switch {
	case text == "":
		return certain(refuse(ReasonCardInvalid, "%s is missing.", what))
	case !utf8.ValidString(text):
		return certain(refuse(ReasonCardInvalid, "%s is not valid UTF-8. Encode it as UTF-8.", what))
	case strings.TrimSpace(text) == "":
		return doubtful(refuse(ReasonCardInvalid, "%s is nothing but white space. Write something.", what))
	}
	return tooLong(text, limit, ReasonCardInvalid, what, "Shorten it.")
}
