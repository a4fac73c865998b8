package conversation

import (
	"slices"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// Untold are the statuses that messages have and no event has told yet, oldest message first: what follows from TikTok's webhooks, such as that
// the user's read mark covers them. Once the events are applied, there are none. A message that came through the API is left out until it is
// known who sent it: the answer to sending it is on its way, and its status would seem to go back.
func (s State) Untold() []cloudevent.StatusEvent {
	var out []cloudevent.StatusEvent
	for _, m := range slices.Backward(s.Messages()) {
		switch {
		case m.Data.Direction != cloudevent.Outbound, !m.Status.Supersedes(m.told):
			continue
		case m.SendID == "" && m.Data.Origin == cloudevent.OriginAPI, m.Data.Kind == reaction:
			continue
		}
		content := Summarize(m.Data)
		e := cloudevent.StatusEvent{Time: m.statusAt, Data: cloudevent.StatusData{
			BusinessID: s.business.id.value, ConversationID: s.id, SendID: m.SendID, MessageID: m.ID, Status: m.Status, Code: m.Code,
			Explanation: m.Explanation, IdempotencyKey: m.IdempotencyKey, AcceptedAt: timeOf(m.acceptedAt), Content: &content,
		}}
		out = append(out, e)
	}
	return out
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
