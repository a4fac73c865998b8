package conversation

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// Summary is a conversation as a list shows it.
type Summary struct {
	ID string
	// Complete: nothing of it is older than what is known.
	Complete       bool
	User, Business cloudevent.Person
	// UserID is the user, the same across TikTok's APIs.
	UserID string
	// Follower says whether the user follows the business; nil if that is not known.
	Follower *bool
	// Referral is how the user came, the last time; nil if that is not known.
	Referral *cloudevent.Referral
	// Last is the newest message; nil if none is known.
	Last *Message
	// LastUserMessage is when the user wrote last; zero if that is not known.
	LastUserMessage time.Time
	// ReadUpTo: the user has read all messages up to this time.
	ReadUpTo time.Time
	// UpdatedAt is when the newest of its events happened.
	UpdatedAt time.Time
}

// Summary of the conversation.
func (s State) Summary() Summary {
	out := Summary{
		ID: s.id, Complete: s.complete, User: s.user.known(), Business: s.business.known(), UserID: s.userID.value,
		LastUserMessage: s.lastUserMessage(), ReadUpTo: s.readUpTo, UpdatedAt: s.updated,
	}
	if s.follower.value != 0 {
		yes := s.follower.value == 2
		out.Follower = &yes
	}
	if s.referral.value != "" {
		var r cloudevent.Referral
		if json.Unmarshal([]byte(s.referral.value), &r) == nil {
			out.Referral = &r
		}
	}
	if all := s.Messages(); len(all) > 0 {
		out.Last = &all[0]
	}
	return out
}

// Answered says whether the business has sent anything, as far as is known.
func (s State) Answered() bool {
	return slices.ContainsFunc(s.Messages(), func(m Message) bool {
		return m.Data.Direction == cloudevent.Outbound && m.Status.Supersedes(cloudevent.StatusFailed)
	})
}

func (s State) lastUserMessage() time.Time {
	i := slices.IndexFunc(s.messages, func(m message) bool { return m.data.Direction == cloudevent.Inbound })
	if i < 0 {
		return time.Time{}
	}
	return s.messages[i].at
}

// Known is what the rules for sending go by. The channel's state, and whether images may be sent, the events do not tell: the caller adds them.
//
// Where TikTok does not say whether something counts, it is taken as what allows more, so that nothing is refused that TikTok might take: the
// user's reactions open the window, and the business's reactions, automatic messages and whatever TikTok has not confirmed use up none of it.
func (s State) Known() messaging.Conversation {
	c := messaging.Conversation{LastUserMessage: s.lastUserMessage(), MayHaveMore: !s.complete, Follower: s.follower.value == 2}
	for _, m := range s.messages {
		if m.data.Direction == cloudevent.Inbound {
			c.UserMessages++
		}
	}
	switch {
	case c.UserMessages == 0 && s.complete:
		c.Begun = messaging.BegunByNobody
		return c
	case c.UserMessages == 0:
		return c
	}
	c.Begun = messaging.BegunByUser
	for _, m := range s.Messages() {
		if !m.uses() || !m.At.After(c.LastUserMessage) {
			continue
		}
		c.SentSince++
		if !m.At.Before(c.LastUserMessage.Add(messaging.WindowLength)) {
			c.SentLate++
		}
	}
	return c
}

// uses says whether a message uses up the window's quota.
func (m Message) uses() bool {
	return m.Status.Supersedes(cloudevent.StatusFailed) && m.Data.Automatic == "" && m.Data.Kind != reaction
}
