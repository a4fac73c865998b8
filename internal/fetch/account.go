package fetch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	// foundMargin is how far apart the times of an event and of its message may be.
	foundMargin = 2 * time.Second
	// vicinity is how long before and after a job's own event those of the same time are expected in the log.
	vicinity = 30 * time.Second
)

// wanted is what a job looks for: the message that an event tells of.
type wanted struct {
	// id is the event's.
	id string
	// at is when the event happened.
	at time.Time
	// from is the earliest time that the message may have.
	from time.Time
	// floor is the time from which on messages are looked for.
	floor time.Time
}

func wantedBy(r eventlog.Record, now time.Time) wanted {
	w := wanted{id: r.ID, at: r.ReceivedAt}
	said := time.Time{}
	if envelope, err := tiktok.DecodeEnvelope(r.Body); err == nil {
		said = envelope.CreateTime
		if content, err := tiktok.DecodeMessageContent(envelope.Content); err == nil && !content.Timestamp.IsZero() {
			said = content.Timestamp
		}
	}
	if !said.IsZero() {
		w.at = said
	}
	if w.at.IsZero() {
		w.at = now
	}
	if w.from = w.at.Add(-foundMargin); said.IsZero() { // it took a while to get here
		w.from = w.at.Add(-margin)
	}
	w.floor = w.at
	if w.floor.After(now) { // a clock is wrong
		w.floor = now
	}
	w.floor = later(w.floor.Add(-margin), now.Add(-horizon))
	return w
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// seen is a message of a user that no webhook brought.
type seen struct {
	at time.Time
	// elsewhere says that the user's other messages came by webhook. So will this one, probably: it was read just before that.
	elsewhere bool
}

// strictness says what counts as an event's message.
type strictness int

const (
	// strictly: a message of the event's very time. It may have another's time by chance: the other's event may not have arrived yet.
	strictly strictness = iota
	// nearly: one of about the time.
	nearly
	// anyhow: and if it is of a user whose messages otherwise come by webhook, who may have moved.
	anyhow
)

// strictness of an attempt: what is doubtful counts later.
func (t try) strictness() strictness {
	switch {
	case t.looks == 0:
		return strictly
	case t.looks < patience-1:
		return nearly
	default:
		return anyhow
	}
}

// accounted says which events have a message of their own, by their ids. It depends on nothing but its arguments, in whatever order they are, so
// that jobs which ask in turn, or in different processes, do not take one message for those of two events.
func accounted(events []wanted, messages []seen, how strictness) map[string]bool {
	events, messages = slices.Clone(events), slices.Clone(messages)
	slices.SortFunc(events, func(a, b wanted) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	slices.SortFunc(messages, func(a, b seen) int { return a.at.Compare(b.at) })
	found := map[string]bool{}
	give := func(fits func(wanted, seen) bool) {
		messages = slices.DeleteFunc(messages, func(m seen) bool {
			// The first in time that fits: those that follow can take a later message.
			i := slices.IndexFunc(events, func(e wanted) bool { return !found[e.id] && fits(e, m) })
			if i >= 0 {
				found[events[i].id] = true
			}
			return i >= 0
		})
	}
	give(func(e wanted, m seen) bool { return m.at.Equal(e.at) })
	if how >= nearly {
		give(func(e wanted, m seen) bool {
			return (how == anyhow || !m.elsewhere) && !m.at.Before(e.from) && !m.at.After(e.at.Add(foundMargin))
		})
	}
	return found
}

// found says whether the job's message was seen. One that is the message of another event of that time does not count.
func (p *pass) found(ctx context.Context) (bool, error) {
	events, err := p.neighbours(ctx)
	if err != nil {
		return false, err
	}
	near := func(at time.Time) bool { return at.Sub(p.want.at).Abs() <= vicinity+margin }
	events = slices.DeleteFunc(events, func(e wanted) bool { return !near(e.at) })
	var messages []seen
	for _, m := range p.state.seen {
		if near(m.at) {
			messages = append(messages, m)
		}
	}
	return accounted(events, messages, p.try.strictness())[p.want.id], nil
}

// neighbours are the job's event and those that were stored at about its time, whoever does their jobs.
func (p *pass) neighbours(ctx context.Context) ([]wanted, error) {
	now := p.opts.Clock.Now()
	events := []wanted{p.want}
	stored := p.job.AddedAt
	err := p.announced(ctx, stored.Add(-vicinity), func(e *eventlog.Stored) (more bool) {
		if e.StoredAt.After(stored.Add(vicinity)) {
			return false
		}
		if e.ID != p.job.ID {
			events = append(events, wantedBy(e.Record, now))
		}
		return true
	})
	return events, err
}

// announced calls each for the events without a message that the log has since a time, until it returns false.
func (p *pass) announced(ctx context.Context, since time.Time, each func(*eventlog.Stored) (more bool)) error {
	query := eventlog.Query{
		ChannelUID: p.job.ChannelUID, Lane: eventlog.LaneOf(""), After: eventlog.Position{From: since}, Limit: knownLimit, MaxBytes: knownBytes,
	}
	for {
		events, more, err := p.opts.Log.Events(ctx, query)
		if err != nil {
			return fmt.Errorf("reading the events without a message: %w", err)
		}
		for _, e := range events {
			query.After = eventlog.Position{Sequence: e.Sequence}
			if e.Event == eventReceiveEU && !each(e) {
				return nil
			}
		}
		if !more || len(events) == 0 {
			return nil
		}
	}
}
