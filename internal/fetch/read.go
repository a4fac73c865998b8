package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	// maxPages of conversations are read in one pass, of each type.
	maxPages = 20
	// clockMargin is how far TikTok's clock and that of the event log may be apart.
	clockMargin = 10 * time.Minute
	// Bounds of one reading of the log.
	knownLimit, knownBytes = 200, 4 << 20
)

// read stores what is new in all conversations that changed since the floor. Message requests come first: a conversation that the business
// answers meanwhile moves to the list that is read then.
func (p *pass) read(ctx context.Context) error {
	for _, kind := range []tiktok.ConversationType{tiktok.ConversationStranger, tiktok.ConversationSingle} {
		conversations, err := p.changed(ctx, kind)
		if err != nil {
			return err
		}
		for _, c := range slices.Backward(conversations) { // who has waited longest comes first
			if err := p.conversation(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed lists the conversations that changed since the floor. Where newer ones are listed first, which nobody promises, a page without any is the
// last that matters.
func (p *pass) changed(ctx context.Context, kind tiktok.ConversationType) (changed []tiktok.Conversation, err error) {
	cursor, newestFirst, before := "", true, time.Time{}
	for range maxPages {
		if err := p.permit(ctx); err != nil {
			return nil, err
		}
		page, err := p.client.Conversations(ctx, p.accessToken, p.job.BusinessID, kind, tiktok.MaxConversations, cursor)
		if err != nil {
			return nil, err
		}
		recent := false
		for _, c := range page.Conversations {
			if c.UpdatedAt.IsZero() || !c.UpdatedAt.Before(p.floor) {
				recent, changed = true, append(changed, c)
			}
			if !c.UpdatedAt.IsZero() {
				newestFirst = newestFirst && (before.IsZero() || !c.UpdatedAt.After(before))
				before = c.UpdatedAt
			}
		}
		if (!recent && newestFirst) || page.Cursor == "" || page.Cursor == cursor {
			return changed, nil
		}
		cursor = page.Cursor
	}
	p.incomplete = true
	p.opts.Logger.Info("More conversations changed than are read at a time; messages may be missing", "app", p.job.App,
		"business", p.job.BusinessID, "conversations", len(changed))
	return changed, nil
}

// conversation stores what is new in one.
func (p *pass) conversation(ctx context.Context, c tiktok.Conversation) error {
	last, ok := p.state.read[c.ID]
	if ok && !c.UpdatedAt.IsZero() && last.changed.Equal(c.UpdatedAt) && !last.floor.After(p.want.floor) {
		return nil
	}
	if err := p.permit(ctx); err != nil {
		return err
	}
	listed, err := p.client.ConversationMessages(ctx, p.accessToken, p.job.BusinessID, c.ID)
	if tiktok.ClassOf(err) == tiktok.ClassPermanent {
		// Others must not suffer from one that TikTok does not show.
		p.incomplete = true
		p.opts.Logger.Info("TikTok does not show a conversation's messages; it is left out", "app", p.job.App, "business", p.job.BusinessID,
			"reason", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	messages, newest := p.received(listed)
	if err := p.store(ctx, c.ID, listed, messages); err != nil {
		return err
	}
	if !newest.Before(c.UpdatedAt.Truncate(time.Second)) { // the messages are not behind the list
		p.state.remember(c.ID, reading{changed: c.UpdatedAt, floor: p.want.floor})
	}
	return nil
}

// received are the messages of users, oldest first, and the time of the newest message of either side.
func (p *pass) received(listed []tiktok.ConversationMessage) (messages []message, newest time.Time) {
	if n := len(listed); n > 1 && listed[0].Timestamp.After(listed[n-1].Timestamp) {
		listed = slices.Clone(listed)
		slices.Reverse(listed) // so that those of the same time keep their order
	}
	for _, m := range listed {
		if m.Timestamp.After(newest) {
			newest = m.Timestamp
		}
		if !m.Inbound(p.job.BusinessID) {
			continue
		}
		if m.Timestamp.IsZero() {
			p.opts.Logger.Info("A listed message has no time, so that nothing says whether it is new; it is left out", "app", p.job.App,
				"business", p.job.BusinessID, "message", m.ID)
			continue
		}
		made, err := received(p.app.Spec.AppID, p.job.BusinessID, m)
		if err != nil { // it was read from JSON, so it can be written
			p.opts.Logger.Error(err, "A listed message cannot be stored; it is left out", "app", p.job.App, "business", p.job.BusinessID)
			continue
		}
		messages = append(messages, made)
	}
	slices.SortStableFunc(messages, func(a, b message) int { return a.at.Compare(b.at) })
	return messages, newest
}

// store appends the messages that the log does not have, of the time that since says.
func (p *pass) store(ctx context.Context, conversation string, listed []tiktok.ConversationMessage, messages []message) error {
	oldest := p.opts.Clock.Now().Add(-horizon)
	if len(messages) == 0 || messages[len(messages)-1].at.Before(oldest) {
		return nil
	}
	known, err := p.known(ctx, conversation, oldest.Add(-clockMargin))
	if err != nil {
		return err
	}
	from, err := p.since(ctx, known)
	if err != nil {
		return err
	}
	if p.cut(listed, messages, known, from) {
		p.incomplete = true
		p.state.cut = later(p.state.cut, messages[0].at)
		p.opts.Logger.Info("TikTok shows only a conversation's newest messages, and all of them are new: earlier ones may be missing",
			"app", p.job.App, "business", p.job.BusinessID, "channel", p.channel.Namespace+"/"+p.channel.Name, "messages", len(listed))
	}
	for id, at := range known.fetched { // TikTok may not show them any more
		if !at.Before(p.want.floor) {
			p.state.saw(id, seen{at: at, elsewhere: known.elsewhere})
		}
	}
	for _, m := range messages {
		if m.at.Before(from) || known.has(m.id) {
			continue
		}
		if err := p.append(ctx, conversation, m, known.elsewhere); err != nil {
			return err
		}
	}
	return nil
}

// since is the time from which on messages of a conversation are stored: from the floor, and from the newest message that the log has of it, so that
// what was missed meanwhile is caught up with. If the log has none, whatever came since the channel has had such events is new, and not only
// what is new by its time: TikTok may have listed the conversation late. What is older was never to be fetched.
func (p *pass) since(ctx context.Context, k known) (time.Time, error) {
	now := p.opts.Clock.Now()
	from := p.floor
	switch {
	case !k.newest.IsZero():
		if k.newest.Before(from) {
			from = k.newest
		}
	default:
		if err := p.lookUpFirst(ctx, now.Add(-lookback)); err != nil {
			return time.Time{}, err
		}
		if first := later(p.state.first.Add(-margin), now.Add(-lookback)); !p.state.first.IsZero() && first.Before(from) {
			from = first
		}
	}
	return later(from, now.Add(-horizon)), nil
}

// lookUpFirst finds the channel's first event without its message since a time, unless it is known.
func (p *pass) lookUpFirst(ctx context.Context, since time.Time) error {
	if !p.state.first.IsZero() {
		return nil
	}
	now := p.opts.Clock.Now()
	return p.announced(ctx, since, func(e *eventlog.Stored) bool {
		p.state.first = wantedBy(e.Record, now).at
		return false
	})
}

func (p *pass) append(ctx context.Context, conversation string, m message, elsewhere bool) error {
	result, err := p.opts.Log.Append(ctx, eventlog.Record{
		ID: m.id, App: p.job.App, BusinessID: p.job.BusinessID, ChannelUID: p.job.ChannelUID, Conversation: cmp.Or(m.conversation, conversation),
		Event: eventReceive, ReceivedAt: p.opts.Clock.Now(), Body: m.body,
	})
	var large *eventlog.TooLargeError
	switch {
	case errors.As(err, &large):
		p.opts.Logger.Error(err, "A fetched message is left out", "app", p.job.App, "business", p.job.BusinessID, "event", m.id)
	case err != nil:
		return fmt.Errorf("storing a fetched message: %w", err)
	case result.Duplicate: // its webhook came meanwhile, or another process fetched it
		elsewhere = true
	default:
		p.counters.messages.Inc()
	}
	p.state.saw(m.id, seen{at: m.at, elsewhere: elsewhere})
	return nil
}

// cut says whether messages may be missing before the oldest listed one: the list is full, and reaches back neither to a message that the log
// has nor to the time from which on they are new.
func (p *pass) cut(listed []tiktok.ConversationMessage, messages []message, k known, from time.Time) bool {
	if len(listed) < tiktok.MaxConversationMessages {
		return false
	}
	return !slices.ContainsFunc(listed, func(m tiktok.ConversationMessage) bool { return m.Timestamp.Before(from) }) &&
		!slices.ContainsFunc(messages, func(m message) bool { return k.has(m.id) })
}

// known is what the log has of a conversation.
type known struct {
	ids map[string]bool
	// newest is the time of the newest message of the user.
	newest time.Time
	// fetched are the user's messages that no webhook brought, by the ids of their events, with their times.
	fetched map[string]time.Time
	// elsewhere says that webhooks brought some.
	elsewhere bool
}

func (k known) has(id string) bool { return k.ids[id] }

// known reads what the log has of a conversation since a time.
func (p *pass) known(ctx context.Context, conversation string, since time.Time) (known, error) {
	k := known{ids: map[string]bool{}, fetched: map[string]time.Time{}}
	query := eventlog.Query{
		ChannelUID: p.job.ChannelUID, Lane: eventlog.LaneOf(conversation), After: eventlog.Position{From: since},
		Limit: knownLimit, MaxBytes: knownBytes,
	}
	for {
		events, more, err := p.opts.Log.Events(ctx, query)
		if err != nil {
			return known{}, fmt.Errorf("reading what the log has of a conversation: %w", err)
		}
		for _, e := range events {
			query.After = eventlog.Position{Sequence: e.Sequence}
			if k.ids[e.ID] = true; e.Event == eventReceive {
				k.add(e)
			}
		}
		if !more || len(events) == 0 {
			return k, nil
		}
	}
}

// add adds a message of the user.
func (k *known) add(e *eventlog.Stored) {
	envelope, err := tiktok.DecodeEnvelope(e.Body)
	if err != nil {
		return
	}
	var at time.Time // zero if it does not say
	if content, err := tiktok.DecodeMessageContent(envelope.Content); err == nil {
		at = content.Timestamp
	}
	k.newest = later(k.newest, at)
	if envelope.Fetched {
		k.fetched[e.ID] = at
	} else {
		k.elsewhere = true
	}
}
