package messaging

import "time"

const (
	// WindowLength is how long after the user's last message a business may answer.
	WindowLength = 48 * time.Hour
	// FirstQuota is how many messages a business may send before the user's second one.
	FirstQuota = 10
	// LateQuota is how many messages a business may send after the window has closed, as one source says; others say none.
	LateQuota = 3
)

// Beginning says what is known of who began a conversation.
type Beginning string

// Beginnings.
const (
	BegunUnknown Beginning = ""
	// BegunByUser: the user has written.
	BegunByUser Beginning = "user"
	// BegunByNobody: all that there is of the conversation is known, and the user has not written.
	BegunByNobody Beginning = "nobody"
)

// Capability says whether a conversation may have something.
type Capability string

// Capabilities.
const (
	CapabilityUnknown Capability = ""
	CapabilityYes     Capability = "yes"
	CapabilityNo      Capability = "no"
)

// Channel says what is known of the channel's state.
type Channel string

// States of a channel.
const (
	ChannelReady         Channel = "" // or not known to be anything else
	ChannelSuspended     Channel = "suspended"
	ChannelNotAuthorized Channel = "not-authorized"
)

// Conversation is what is known of a conversation when a message is to be sent. The zero value knows nothing.
type Conversation struct {
	Channel Channel
	Begun   Beginning
	// LastUserMessage is when the user wrote last; zero if that is not known.
	LastUserMessage time.Time
	// UserMessages is how many messages of the user are known; MayHaveMore says that there may be older ones, so that the user's second may be
	// among them.
	UserMessages int
	MayHaveMore  bool
	// SentSince is how many messages the business has sent after the user's last, by any means; SentLate how many of them after the window.
	SentSince, SentLate int
	// Follower: the user follows the business. Mutual followers may be exempt from the window, as one source says.
	Follower bool
	// Images says whether images may be sent.
	Images Capability
}

// Window is how a conversation stands, for display: what Decide goes by.
type Window struct {
	// Known is false where nothing is known of the user's messages; then the rest is empty.
	Known bool
	// Open until Until, 48 hours after the user's last message.
	Open  bool
	Until time.Time
	// Left is how many messages may be sent until the user writes again; -1 for no limit. After the window, TikTok may allow fewer.
	Left int
}

// Window tells the state of the conversation's window at a time.
func (c Conversation) Window(now time.Time) Window {
	if c.Begun == BegunByNobody {
		return Window{Known: true}
	}
	if c.LastUserMessage.IsZero() {
		return Window{}
	}
	w := Window{Known: true, Until: c.LastUserMessage.Add(WindowLength), Left: -1}
	w.Open = now.Before(w.Until)
	switch {
	case !w.Open:
		w.Left = max(0, LateQuota-c.SentLate)
	case c.firstMessageOnly():
		w.Left = max(0, FirstQuota-c.SentSince)
	}
	return w
}

func (c Conversation) firstMessageOnly() bool { return c.UserMessages == 1 && !c.MayHaveMore }
