package outbound

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// seen is a message of the business's at TikTok.
type seen struct {
	id      string
	at      time.Time
	summary cloudevent.ContentSummary
}

// match finds the message that a call has sent: the oldest that says the same, is of that time, and is no other send's. Of two calls that say
// the same, each takes one, so that in the end as many are counted as there are.
func match(all []seen, a *attempt, others map[string]bool) (messageID string, ok bool) {
	var best *seen
	for i, m := range all {
		switch {
		case m.id == "", others[m.id], m.at.Before(a.CalledAt.Add(-skew)), m.summary.Kind != a.Summary.Kind,
			strings.TrimSpace(m.summary.Text) != strings.TrimSpace(a.Summary.Text):
			continue
		case best == nil || m.at.Before(best.at):
			best = &all[i]
		}
	}
	if best == nil {
		return "", false
	}
	return best.id, true
}

// told are the business's messages that webhooks told of, and others those of them that are known to be of other sends, or not of the API.
func told(state conversation.State, sendID string) (all []seen, others map[string]bool) {
	others = map[string]bool{}
	for _, m := range state.Messages() {
		if m.Data.Direction != cloudevent.Outbound || m.ID == "" {
			continue
		}
		if (m.SendID != "" && m.SendID != sendID) || (m.Data.Origin != cloudevent.OriginAPI && m.Data.Origin != "") {
			others[m.ID] = true
			continue
		}
		if !m.Partial {
			all = append(all, seen{m.ID, m.At, conversation.Summarize(m.Data)})
		}
	}
	return all, others
}

// listed are the business's messages that TikTok lists. complete says that all are there that are as new as a time.
func listed(content *tiktok.ConversationContent, businessID string, since time.Time) (all []seen, complete bool) {
	complete = len(content.Messages) < tiktok.MaxConversationMessages
	for _, m := range content.Messages {
		complete = complete || (!m.Timestamp.IsZero() && m.Timestamp.Before(since))
		if m.FromUser.ID != businessID {
			continue
		}
		block, err := tiktok.DecodeMessageContent(m.Content)
		if err != nil {
			continue
		}
		one := seen{m.ID, m.Timestamp, cloudevent.ContentSummary{Kind: block.Type}}
		switch {
		case block.Type == "text":
			one.summary = *cloudevent.Summarize(block.Type, block.Text)
		case block.Template != nil && len(block.Template.Elements) > 0:
			one.summary = *cloudevent.Summarize(block.Type, block.Template.Elements[0].Title)
		}
		all = append(all, one)
	}
	return all, complete
}

// search looks for a message after a call that brought no answer. The error is an *UnknownOutcomeError if it does not turn up.
func (s *Sender) search(ctx context.Context, j *job, session *business.Session) (*Sent, error) {
	for deadline := s.opts.Clock.Now().Add(echoWait); ; {
		if id := s.echoed(ctx, j); id != "" {
			return s.found(ctx, j, session.BusinessID, id)
		}
		if !s.opts.Clock.Now().Before(deadline) || s.sleep(ctx, echoPoll) != nil {
			break
		}
	}
	id, _ := s.list(ctx, j, session)
	if id == "" {
		return nil, s.unknown(j)
	}
	return s.found(ctx, j, session.BusinessID, id)
}

// settle finds out whether TikTok has a message that an earlier request was about to send. No answer and no error says that it has not: the
// message may be sent. The error may be eventlog.ErrSendChanged.
func (s *Sender) settle(ctx context.Context, j *job) (*Sent, error) {
	if id := s.echoed(ctx, j); id != "" {
		return s.found(ctx, j, j.Channel.Status.BusinessID, id)
	}
	session, err := s.opts.Sessions.Session(ctx, j.Channel)
	if err != nil {
		return nil, s.unknown(j)
	}
	id, absent := s.list(ctx, j, session)
	switch {
	case id != "":
		return s.found(ctx, j, session.BusinessID, id)
	case !absent || s.opts.Clock.Since(j.CalledAt) < settledAfter:
		return nil, s.unknown(j)
	}
	s.opts.Logger.Info("a message of which TikTok's answer was lost is not in the conversation, and is sent again",
		"namespace", j.Channel.Namespace, "channel", j.Channel.Name, "sendID", j.SendID)
	j.Stage, j.Until = idle, time.Time{}
	return nil, s.save(ctx, j)
}

func (s *Sender) unknown(j *job) error {
	after := max(j.CalledAt.Add(settledAfter).Sub(s.opts.Clock.Now()), 5*time.Second)
	return &UnknownOutcomeError{SendID: j.SendID, RetryAfter: after}
}

func (s *Sender) found(ctx context.Context, j *job, businessID, messageID string) (*Sent, error) {
	j.Stage, j.MessageID, j.Until = sent, messageID, time.Time{}
	s.settled(ctx, j, businessID, cloudevent.StatusSent, nil)
	return j.answer(true)
}

// echoed looks for the message among those that webhooks told of.
func (s *Sender) echoed(ctx context.Context, j *job) (messageID string) {
	state, _, err := s.opts.States.State(ctx, j.Channel, j.ConversationID)
	if err != nil {
		s.opts.Logger.Error(err, "a message of which TikTok's answer was lost could not be looked for", "sendID", j.SendID)
		return ""
	}
	all, others := told(state, j.SendID)
	id, _ := match(all, j.attempt, others)
	return id
}

// list looks for the message among those that TikTok lists. absent says that it is certainly not there.
func (s *Sender) list(ctx context.Context, j *job, session *business.Session) (messageID string, absent bool) {
	state, _, err := s.opts.States.State(ctx, j.Channel, j.ConversationID)
	if err != nil || s.turn(ctx, j.Channel, session.App) != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	content, err := session.Client.Granted().ConversationContent(ctx, session.AccessToken, session.BusinessID, j.ConversationID)
	if err != nil {
		s.opts.Apps.Throttled(session.App, err)
		s.opts.Logger.V(1).Info("TikTok's list of messages could not be read", "sendID", j.SendID, "reason", err.Error())
		return "", false
	}
	all, complete := listed(content, session.BusinessID, j.CalledAt.Add(-skew))
	_, others := told(state, j.SendID)
	id, ok := match(all, j.attempt, others)
	// A message of the business's without a time may be this one.
	odd := slices.ContainsFunc(all, func(m seen) bool { return m.at.IsZero() && !others[m.id] })
	return id, !ok && complete && !odd
}
