package conversation

import (
	"cmp"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// newest is something that changes: what was said of it last counts.
type newest[T cmp.Ordered] struct {
	at    time.Time
	value T
}

// see takes a value, unless it says nothing.
func (n newest[T]) see(value T, at time.Time) newest[T] {
	var none T
	if value == none || at.Before(n.at) || at.Equal(n.at) && value <= n.value {
		return n
	}
	return newest[T]{at, value}
}

// person is a participant; each part is known apart, since TikTok does not always give all.
type person struct{ id, username, role newest[string] }

func (p person) see(said *cloudevent.Person, at time.Time) person {
	if said == nil {
		return p
	}
	return person{p.id.see(said.ID, at), p.username.see(said.Username, at), p.role.see(said.Role, at)}
}

func (p person) known() cloudevent.Person {
	return cloudevent.Person{ID: p.id.value, Username: p.username.value, Role: p.role.value}
}

// meet takes what an event says of the participants.
func (s State) meet(d cloudevent.Data, at time.Time) State {
	for i, p := range []*cloudevent.Person{d.Sender, d.Recipient} {
		switch {
		case p == nil:
		case isBusiness(p, d, i == 0):
			s.business = s.business.see(p, at)
		default:
			s.user = s.user.see(p, at)
		}
	}
	s.business = s.business.see(&cloudevent.Person{ID: d.BusinessID}, at)
	s.userID = s.userID.see(d.UserID, at)
	if f := d.IsFollower; f != nil {
		value := 1
		if *f {
			value = 2
		}
		s.follower = s.follower.see(value, at)
	}
	return s
}

// isBusiness goes by the account, its role, and the message's direction; what has no direction comes from the user.
func isBusiness(p *cloudevent.Person, d cloudevent.Data, isSender bool) bool {
	switch {
	case p.ID != "" && d.BusinessID != "":
		return p.ID == d.BusinessID
	case p.Role != "":
		return p.Role == "business_account"
	default:
		return isSender == (d.Direction == cloudevent.Outbound)
	}
}
