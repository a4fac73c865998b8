package messaging

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Policy says what to do where TikTok's rule is doubtful.
type Policy string

// Policies.
const (
	// Strict refuses what TikTok may refuse.
	Strict Policy = "strict"
	// Lenient leaves it to TikTok, and refuses only what TikTok is certain to refuse.
	Lenient Policy = "lenient"
)

// String implements flag.Value.
func (p *Policy) String() string { return string(*p) }

// Set implements flag.Value.
func (p *Policy) Set(s string) error {
	switch policy := Policy(s); policy {
	case Strict, Lenient:
		*p = policy
		return nil
	}
	return fmt.Errorf("it is %s or %s", Lenient, Strict)
}

// Refusal says why a message is not sent, and what to do.
type Refusal struct {
	Reason Reason
	// Sentence is for a person. It quotes nothing of the message.
	Sentence string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Sentence }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

// Verdict is what to do with a message.
type Verdict struct {
	// Refusal is nil if the message may be sent.
	Refusal *Refusal
	// AskTikTok: it may be sent, but that TikTok takes it is doubtful, for the reasons in Doubts.
	AskTikTok bool
	Doubts    []Reason
}

// Allowed says that the message may be sent.
func (v Verdict) Allowed() bool { return v.Refusal == nil }

// finding is what one rule says of a message: nothing, a refusal, or a doubtful one.
type finding struct {
	*Refusal
	doubtful bool
	// unknown: not the rule is doubtful but the state, so that no policy refuses.
	unknown bool
}

var fine = finding{}

func certain(r *Refusal) finding { return finding{Refusal: r} }

func doubtful(r *Refusal) finding { return finding{Refusal: r, doubtful: true} }

func unknown(reason Reason) finding { return finding{Refusal: &Refusal{Reason: reason}, unknown: true} }

// rules are all, in the order in which the first one that refuses is told: what no other message would change, the message, the conversation.
func rules() []func(Message, Conversation, time.Time) finding {
	return []func(Message, Conversation, time.Time) finding{
		channelRule, // ours
		formRule,    // certain
		quoteRule,   // certain
		textRule,    // 6,000 certain; how emoji count doubtful
		cardRule,    // certain but for how emoji count
		imageRule,   // 3 MB certain; which megabyte doubtful
		begunRule,   // certain
		windowRule,  // 48 hours certain; what is allowed after them, and how many before, doubtful
		capabilityRule,
	}
}

// Decide says whether a message may be sent into a conversation now.
func Decide(policy Policy, m Message, c Conversation, now time.Time) Verdict {
	var v Verdict
	for _, rule := range rules() {
		f := rule(m, c, now)
		switch {
		case f.Refusal == nil:
		case f.unknown, f.doubtful && policy == Lenient:
			v.AskTikTok = true
			v.Doubts = append(v.Doubts, f.Reason)
		default:
			return Verdict{Refusal: f.Refusal}
		}
	}
	return v
}

func channelRule(_ Message, c Conversation, _ time.Time) finding {
	return finding{Refusal: RefuseChannel(c.Channel)}
}

// RefuseChannel says why nothing at all is sent for a channel of this state; nil if the state is no reason.
func RefuseChannel(c Channel) *Refusal {
	switch c {
	case ChannelSuspended:
		return refuse(ReasonChannelSuspended, "The channel is suspended. Set spec.suspend to false to send again.")
	case ChannelNotAuthorized:
		return refuse(ReasonChannelNotAuthorized,
			"The business has not authorized the app, or no longer does. Open the channel's authorization link as the business.")
	}
	return nil
}

func formRule(m Message, _ Conversation, _ time.Time) finding {
	switch n := m.contents(); {
	case n == 0:
		return certain(refuse(ReasonEmpty, "The message is empty. Give a text, an image, a post or a card."))
	case n > 1:
		return certain(refuse(ReasonMixed,
			"A message is one text, one image, one post or one card, and this one holds %d. Send them one after the other.", n))
	}
	return fine
}

func quoteRule(m Message, _ Conversation, _ time.Time) finding {
	if m.QuotedMessageID != "" && m.Text == "" {
		return certain(refuse(ReasonQuoteNeedsText, "Only a text can quote a message. Send a text, or leave the quote out."))
	}
	return fine
}

func textRule(m Message, _ Conversation, _ time.Time) finding {
	if m.Text == "" {
		return fine
	}
	if !utf8.ValidString(m.Text) {
		return certain(refuse(ReasonTextInvalid, "The text is not valid UTF-8. Encode it as UTF-8."))
	}
	if strings.TrimSpace(m.Text) == "" {
		return doubtful(refuse(ReasonEmpty, "The text is nothing but white space. Write something."))
	}
	return tooLong(m.Text, MaxTextLength, ReasonTextTooLong, "The text", "Send it in parts.")
}

// tooLong is certain where it is so however TikTok counts.
func tooLong(text string, limit int, reason Reason, what, todo string) finding {
	least, greatest := length(text)
	switch {
	case least > limit:
		return certain(refuse(reason, "%s has %d characters, and TikTok takes %d. %s", what, least, limit, todo))
	case greatest > limit:
		return doubtful(refuse(reason, "%s has %d characters where every emoji counts for all its parts, and TikTok takes %d. %s",
			what, greatest, limit, todo))
	}
	return fine
}

func imageRule(m Message, _ Conversation, _ time.Time) finding {
	for _, i := range m.Images {
		switch {
		case i.Format != JPEG && i.Format != PNG:
			return certain(refuse(ReasonImageUnsupported, "The file is neither JPEG nor PNG. Convert it to one of them."))
		case i.Bytes > MaxImageBytesDoubtful:
			return certain(imageTooLarge(i.Bytes))
		case i.Bytes > MaxImageBytes:
			return doubtful(imageTooLarge(i.Bytes))
		}
	}
	return fine
}

func begunRule(_ Message, c Conversation, _ time.Time) finding {
	switch c.Begun {
	case BegunByUser:
		return fine
	case BegunByNobody:
		return certain(refuse(ReasonNotBegun,
			"The user has not written in this conversation, and TikTok does not let a business begin one. Wait for the user's first message."))
	default:
		return unknown(ReasonNotBegun)
	}
}

func capabilityRule(m Message, c Conversation, _ time.Time) finding {
	switch {
	case !m.hasImage() || c.Images == CapabilityYes:
		return fine
	case c.Images == CapabilityNo:
		return certain(refuse(ReasonImageNotAllowed,
			"TikTok allows no images in this conversation: media cannot be sent in or to some regions. Send a text instead."))
	default:
		return unknown(ReasonImageNotAllowed)
	}
}
