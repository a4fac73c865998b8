package conversation

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// record is something that events tell of, each of them a part or the same again.
type record interface {
	// identity is the same in all of them.
	identity() string
	// when is what records are ordered by.
	when() time.Time
}

// insert puts a record in its place, newest first, merged with the one of the same identity. It leaves the slice that it is given as it is.
func insert[R record](all []R, r R, merge func(a, b R) R) []R {
	out := make([]R, 0, len(all)+1)
	for _, other := range all {
		if other.identity() == r.identity() {
			r = merge(other, r)
			continue
		}
		out = append(out, other)
	}
	at, _ := slices.BinarySearchFunc(out, r, func(a, b R) int {
		return cmp.Or(b.when().Compare(a.when()), compareIDs(b.identity(), a.identity()))
	})
	return slices.Insert(out, at, r)
}

// compareIDs orders TikTok's ids, which are numbers, as numbers, and any others somehow.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// message is what TikTok told of one.
type message struct {
	key  string
	at   time.Time
	data *cloudevent.Data // never changed
}

func (m message) identity() string { return m.key }
func (m message) when() time.Time  { return m.at }

// reaction is the kind of a message that is one.
const reaction = "reaction"

func messageOf(d cloudevent.Data, e cloudevent.Event) message {
	m := message{key: string(d.Direction) + " " + d.MessageID, at: e.Time, data: &d}
	// Nobody says whether a reaction, or taking it back, has a message id of its own.
	if d.MessageID == "" || d.Kind == reaction {
		m.key = "event " + e.ID
	}
	return m
}

// better is the one of two records of a message to keep: TikTok's webhook says more than its list. What else might differ should not; then any
// will do that is the same in every order.
func better(a, b message) message {
	rank := func(m message) (fetched int) {
		if m.data.Fetched {
			return 1
		}
		return 0
	}
	if order := cmp.Or(cmp.Compare(rank(a), rank(b)), a.at.Compare(b.at)); order != 0 {
		if order < 0 {
			return a
		}
		return b
	}
	one, err := json.Marshal(a.data)
	two, otherErr := json.Marshal(b.data)
	if err == nil && (otherErr != nil || string(one) >= string(two)) {
		return a
	}
	return b
}

// send is what the operator told of one: something that it was asked to send or, where key is a message's, that somebody else did.
type send struct {
	key, id    string
	acceptedAt time.Time
	// messageIDs that TikTok has given it, sorted: more than one only if it was sent more than once.
	messageIDs     []string
	told           status
	idempotencyKey string
	content        cloudevent.ContentSummary
}

// status that was told, and when.
type status struct {
	cloudevent.Status
	at          time.Time
	code        int
	explanation string
}

// compare says which of two statuses replaces the other; of the same one, what was told last.
func (s status) compare(other status) int {
	switch {
	case s.Supersedes(other.Status):
		return 1
	case other.Supersedes(s.Status):
		return -1
	}
	return cmp.Or(s.at.Compare(other.at), cmp.Compare(s.code, other.code), strings.Compare(s.explanation, other.explanation),
		strings.Compare(string(s.Status), string(other.Status)))
}

func (s send) identity() string { return s.key }
func (s send) when() time.Time  { return s.acceptedAt }

func sendOf(d cloudevent.StatusData, at time.Time) send {
	s := send{
		key: "send " + d.SendID, id: d.SendID, acceptedAt: at, idempotencyKey: d.IdempotencyKey,
		told: status{d.Status, at, d.Code, d.Explanation},
	}
	if d.SendID == "" {
		s.key = "message " + d.MessageID
	}
	if d.AcceptedAt != nil {
		s.acceptedAt = *d.AcceptedAt
	}
	if d.MessageID != "" {
		s.messageIDs = []string{d.MessageID}
	}
	if d.Content != nil {
		s.content = *d.Content
	}
	return s
}

func mergeSends(a, b send) send {
	if b.acceptedAt.Before(a.acceptedAt) {
		a.acceptedAt = b.acceptedAt
	}
	if b.told.compare(a.told) > 0 {
		a.told = b.told
	}
	a.idempotencyKey = max(a.idempotencyKey, b.idempotencyKey)
	if c := cmp.Or(strings.Compare(a.content.Kind, b.content.Kind), strings.Compare(a.content.Text, b.content.Text)); c < 0 {
		a.content = b.content
	}
	ids := slices.Concat(a.messageIDs, b.messageIDs)
	slices.SortFunc(ids, compareIDs)
	a.messageIDs = slices.Compact(ids)
	return a
}
