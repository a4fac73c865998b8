package messaging

// Message is what somebody wants to send. It may hold what does not go together: Decide says so.
type Message struct {
	Text string
	// Images are files that InspectImage has passed. ImageMediaID is an image that TikTok has already.
	Images       []Image
	ImageMediaID string
	// PostID is a post of the business's own; whether it is, only TikTok knows.
	PostID string
	Card   *Card
	// QuotedMessageID is the message that a text answers; "" for none.
	QuotedMessageID string
}

// contents counts what the message holds.
func (m Message) contents() int {
	n := len(m.Images)
	for _, given := range []bool{m.Text != "", m.ImageMediaID != "", m.PostID != "", m.Card != nil} {
		if given {
			n++
		}
	}
	return n
}

func (m Message) hasImage() bool { return len(m.Images) > 0 || m.ImageMediaID != "" }

// CardKind says how a card's buttons look.
type CardKind string

// Kinds of cards.
const (
	CardButtons CardKind = "buttons"
	CardLinks   CardKind = "links"
)

// Card is a question with answers to tap.
type Card struct {
	Kind    CardKind
	Title   string
	Buttons []Button
}

// Button is an answer: Label is what the user reads, ID what comes back when it is tapped.
type Button struct{ Label, ID string }
