package simulator

import (
	"encoding/json"
	"time"
)

const (
	// windowLength is how long after the user's last message a business may write.
	windowLength = 48 * time.Hour
	// firstQuota is how many messages it may send before the user's second one.
	firstQuota = 10
	// lateQuota is how many messages it may send after 48 hours of silence.
	lateQuota = 3
	// typingFor is how long the user sees that the business types.
	typingFor = 5 * time.Second
)

// standing is what the rules of sending go by, and what both sides see of each other besides messages.
type standing struct {
	// user as the last inbound message named them.
	user       json.RawMessage // from_user
	username   string
	uniqueID   string
	userCount  int
	lastUser   time.Time
	sinceUser  int // messages of the business
	late       int // of them after the window
	noImages   bool
	typing     time.Time // until then
	readByUser time.Time
	readByUs   time.Time // the business, by MARK_READ
}

// count takes a message into account.
func (st *standing) count(m message, at time.Time) {
	if m.outbound {
		st.sinceUser++
		if st.userCount > 0 && !at.Before(st.lastUser.Add(windowLength)) {
			st.late++
		}
		st.typing = time.Time{}
		return
	}
	st.userCount++
	st.lastUser, st.sinceUser, st.late = at, 0, 0
	var content struct {
		From     json.RawMessage
		FromUser json.RawMessage `json:"from_user"`
		UniqueID json.RawMessage `json:"unique_identifier"`
	}
	_ = json.Unmarshal(m.content, &content) // it is a JSON object
	st.user, st.username, st.uniqueID = content.FromUser, stringOf(content.From), stringOf(content.UniqueID)
}

// begun says that the user has written: a business cannot begin.
func (st *standing) begun() *failure {
	if st.userCount == 0 {
		return refuse(codeBlocked, "The business cannot start a conversation: the user has not sent a message.")
	}
	return nil
}

// unlimited is an allowance without a number.
const unlimited = -1

// allowance is what the business may still send, for the decision and for whoever wants to see it.
type allowance struct {
	// open: within 48 hours after the user's last message, which end at closes; zero if the user has never written.
	open   bool
	closes time.Time
	// left is how many messages, or unlimited.
	left int
}

func (st *standing) allowance(now time.Time) allowance {
	if st.userCount == 0 {
		return allowance{}
	}
	a := allowance{closes: st.lastUser.Add(windowLength)}
	a.open = now.Before(a.closes)
	switch {
	case !a.open:
		a.left = max(0, lateQuota-st.late)
	case st.userCount == 1:
		a.left = max(0, firstQuota-st.sinceUser)
	default:
		a.left = unlimited
	}
	return a
}

// admits says whether the business may send one more message.
func (st *standing) admits(now time.Time) *failure {
	if fail := st.begun(); fail != nil {
		return fail
	}
	switch a := st.allowance(now); {
	case a.left != 0:
		return nil
	case a.open:
		return refuse(codeBlocked, "No more than %d messages can be sent before the user replies.", firstQuota)
	default:
		return refuse(codeBlocked, "The 48-hour window is closed: the user has not sent a message since.")
	}
}

// change does something to a conversation under the lock; false if the business has no such conversation.
func (c *conversations) change(business, id string, f func(*conversation)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	conv := c.find(business, id)
	if conv != nil {
		f(conv)
	}
	return conv != nil
}

// find is a conversation, or nil; the caller holds the lock.
func (c *conversations) find(business, id string) *conversation {
	in := c.byBusiness[business]
	if in == nil {
		return nil
	}
	e, ok := in.byID[id]
	if !ok {
		return nil
	}
	return conversationIn(e)
}

// send checks and keeps a message of the business in one step, so that senders at once cannot pass a quota together. compose gets the
// conversation as it is and gives the message.
func (c *conversations) send(business, id string, now time.Time, compose func(*conversation) (message, *failure)) (message, *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conv := c.find(business, id)
	if conv == nil {
		return message{}, refuse(codeParameter, "conversation_id is invalid.")
	}
	m, fail := compose(conv)
	if fail == nil {
		fail = conv.admits(now)
	}
	if fail != nil {
		return message{}, fail
	}
	c.put(business, m, now)
	return m, nil
}
