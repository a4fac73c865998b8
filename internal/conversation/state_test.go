package conversation_test

import (
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

func TestMessagesAreWhatWasTold(t *testing.T) {
	s := fold(true,
		received(t, "9", 0), echo(t, "10", "WEB", 5), told(t, "a", "11", cloudevent.StatusSent, 7), told(t, "b", "", cloudevent.StatusFailed, 8),
	)
	var got []string
	for _, m := range s.Messages() {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s|%d|%s|%v", m.ID, m.SendID, m.IdempotencyKey, m.Data.Direction, m.Data.Origin, *m.Data.Text,
			m.At.Format("05"), m.Status, m.Code, m.Explanation, m.Partial))
	}
	want := []string{
		"|b|key b|outbound|api|answer |08|failed|40064|Wait.|true",
		"11|a|key a|outbound|api|answer 11|07|sent|0||true",
		"10|||outbound|web|answer 10|05|delivered|0||false",
		"9|||inbound||question 9|00||0||false",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if s.Message("9") == nil || s.Message("a") == nil || s.Message("c") != nil || s.Message("") != nil {
		t.Error("messages are not found by their ids")
	}
	card := fold(true, statusEvent(t, cloudevent.StatusEvent{Time: start, Data: cloudevent.StatusData{
		ConversationID: id, SendID: "c", Status: cloudevent.StatusAccepted, Content: cloudevent.Summarize("template", "Which size?"),
	}})).Message("c")
	if card.Data.Kind != "template" || card.Data.Template.Elements[0].Title != "Which size?" || !card.At.Equal(start) {
		t.Errorf("a card that is being sent is %+v", card)
	}
}

// TestWebhooksSayMore: a message that was fetched, and then comes by a webhook too, is what the webhook says, whichever came first.
func TestWebhooksSayMore(t *testing.T) {
	f := text("question 1")
	f["message_id"], f["fetched"] = "1", true
	fetched := webhook(t, "im_receive_msg", at(0), true, f)
	for _, events := range [][]cloudevent.Event{{fetched, received(t, "1", 1)}, {received(t, "1", 1), fetched}} {
		if m := fold(true, events...).Message("1"); m.Data.Fetched || !m.At.Equal(at(1)) {
			t.Errorf("got %+v", m)
		}
	}
}

// TestReadMarks: a mark covers the business's messages up to its time, and none whose time TikTok has not told.
func TestReadMarks(t *testing.T) {
	s := fold(true,
		read(t, 10), received(t, "1", 0),
		echo(t, "2", "APP", 9), echo(t, "3", "APP", 10), echo(t, "4", "APP", 11), told(t, "a", "5", cloudevent.StatusSent, 8),
		read(t, 3),
	)
	for name, want := range map[string]string{"1": "", "2": "read", "3": "read", "4": "delivered", "5": "sent"} {
		if got := statusOf(s, name); got != want {
			t.Errorf("message %s is %q, want %q", name, got, want)
		}
	}
	if got := s.Summary().ReadUpTo; !got.Equal(at(10)) {
		t.Errorf("the user has read up to %s", got)
	}
}

func TestRulesGoByWhatIsKnown(t *testing.T) {
	var ten []cloudevent.Event
	for i := range 10 {
		ten = append(ten, echo(t, strconv.Itoa(100+i), "API", 10+i))
	}
	automatic := webhook(t, "im_send_msg", at(9), false, map[string]any{"message_id": "50", "type": "text", "auto_message_type": "AUTO_REPLY"})
	late := int((49 * time.Hour).Seconds())
	known := func(messages int, last time.Time, more bool, since, after int) messaging.Conversation {
		return messaging.Conversation{
			Begun: messaging.BegunByUser, LastUserMessage: last, UserMessages: messages, MayHaveMore: more, SentSince: since, SentLate: after,
		}
	}
	for name, tt := range map[string]struct {
		complete bool
		events   []cloudevent.Event
		want     messaging.Conversation
		reason   messaging.Reason // under Lenient, at the time of the last event
	}{
		"nothing, and there is more": {want: messaging.Conversation{MayHaveMore: true}},
		"nothing, and that is all":   {complete: true, want: messaging.Conversation{Begun: messaging.BegunByNobody}, reason: "conversation-not-begun"},
		"only the business, that is all": {
			complete: true, events: ten, want: messaging.Conversation{Begun: messaging.BegunByNobody}, reason: "conversation-not-begun",
		},
		"only the business": {events: ten, want: messaging.Conversation{MayHaveMore: true}},
		"the first message": {complete: true, events: []cloudevent.Event{received(t, "1", 0)}, want: known(1, at(0), false, 0, 0)},
		"what does not count": {
			complete: true, want: known(1, at(0), false, 1, 0), events: []cloudevent.Event{
				echo(t, "2", "APP", -1), echo(t, "3", "APP", 0), received(t, "1", 0), automatic, told(t, "a", "", cloudevent.StatusAccepted, 5),
				told(t, "b", "", cloudevent.StatusFailed, 6), told(t, "c", "60", cloudevent.StatusSent, 7),
			},
		},
		"ten since the first": {
			complete: true, events: append(ten[:10:10], received(t, "1", 0), ten[0]), want: known(1, at(0), false, 10, 0), reason: "quota-used",
		},
		"ten since the first that is known": {events: append(ten[:10:10], received(t, "1", 0)), want: known(1, at(0), true, 10, 0)},
		"ten, then the user's second": {
			complete: true, events: append(ten[:10:10], received(t, "1", 0), received(t, "2", 30)), want: known(2, at(30), false, 0, 0),
		},
		"after the window": {
			complete: true, events: []cloudevent.Event{
				received(t, "1", 0), echo(t, "3", "APP", 10), echo(t, "4", "APP", late), echo(t, "5", "APP", late+1), echo(t, "6", "APP", late+2),
			}, want: known(1, at(0), false, 4, 3), reason: "window-closed",
		},
	} {
		s := fold(tt.complete, tt.events...)
		if got := s.Known(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
		v := messaging.Decide(messaging.Lenient, messaging.Message{Text: "hi"}, s.Known(), s.Summary().UpdatedAt)
		if got := v.Refusal; (got == nil) != (tt.reason == "") || got != nil && got.Reason != tt.reason {
			t.Errorf("%s: %v, want %q", name, got, tt.reason)
		}
	}
}

// TestUntold: what follows from webhooks is told once, in steps that only go forward, and not before it is known whose message it is.
func TestUntold(t *testing.T) {
	s := fold(true, told(t, "a", "", cloudevent.StatusAccepted, 10), echo(t, "10", "API", 11), echo(t, "11", "APP", 12), read(t, 11))
	tell := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range s.Untold() {
			d := e.Data
			got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s", d.SendID, d.MessageID, d.Status, d.Content.Text, e.Time.Format("05")))
			if d.BusinessID != business || (d.AcceptedAt != nil) != (d.SendID != "") {
				t.Errorf("got %+v", d)
			}
			s = conversation.Apply(s, statusEvent(t, e))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if rest := s.Untold(); len(rest) > 0 {
			t.Errorf("what was told is told again: %+v", rest)
		}
	}
	tell("|11|delivered|answer 11|12")
	s = conversation.Apply(s, told(t, "a", "10", cloudevent.StatusSent, 10))
	tell("a|10|read|answer 10|11")
	s = conversation.Apply(s, read(t, 12))
	tell("|11|read|answer 11|12")
	s = conversation.Apply(s, told(t, "b", "", cloudevent.StatusFailed, 20))
	s = conversation.Apply(s, received(t, "12", 21))
	tell()
	// Whoever follows the send has not heard what was told of the message alone.
	s = fold(true, told(t, "", "10", cloudevent.StatusDelivered, 11), told(t, "a", "10", cloudevent.StatusSent, 10), received(t, "1", 0))
	tell("a|10|delivered|answer 10|12")
}

func TestSummary(t *testing.T) {
	s := fold(true, eventful(t)...)
	got := s.Summary()
	if got.Last == nil || got.Last.ID != "15" || got.Last.Status != cloudevent.StatusRead {
		t.Errorf("the last message is %+v", got.Last)
	}
	if f := got.Follower; f == nil || *f {
		t.Errorf("the newest event says that the user does not follow the business, the summary %v", f)
	}
	if r := got.Referral; r == nil || r.Source != "ad" || r.Ad == nil || r.Ad.AdID != "1" {
		t.Errorf("referral: %+v", r)
	}
	got.Last, got.Follower, got.Referral = nil, nil, nil
	want := conversation.Summary{
		ID: id, Complete: true, UserID: "user-1", LastUserMessage: at(50), ReadUpTo: at(26), UpdatedAt: at(61),
		User:     cloudevent.Person{ID: "u1", Username: "ann", Role: "personal_account"},
		Business: cloudevent.Person{ID: business, Username: "shop", Role: "business_account"},
	}
	if !got.UpdatedAt.Equal(want.UpdatedAt) || !got.LastUserMessage.Equal(want.LastUserMessage) || !got.ReadUpTo.Equal(want.ReadUpTo) {
		t.Errorf("times are %s, %s, %s", got.UpdatedAt, got.LastUserMessage, got.ReadUpTo)
	}
	got.UpdatedAt, got.LastUserMessage, got.ReadUpTo = want.UpdatedAt, want.LastUserMessage, want.ReadUpTo
	if got != want {
		t.Errorf("got %+v", got)
	}
	renamed := webhook(t, "im_receive_msg", at(70), true, map[string]any{"message_id": "70", "type": "text", "from": "anna", "is_follower": true})
	after := fold(true, renamed, received(t, "1", 0)).Summary()
	if after.User.Username != "anna" || after.Follower == nil || !*after.Follower {
		t.Errorf("after a new name and an older event: %+v", after)
	}
	if empty := conversation.New(id, false).Summary(); empty != (conversation.Summary{ID: id}) {
		t.Errorf("before the first event: %+v", empty)
	}
}

// TestWhatCannotBeReadChangesNothing: damaged data, other conversations, other types.
func TestWhatCannotBeReadChangesNothing(t *testing.T) {
	s := fold(true, received(t, "1", 0))
	want := all(s)
	good := received(t, "2", 10)
	status := told(t, "a", "", cloudevent.StatusAccepted, 11)
	for name, change := range map[string]func() cloudevent.Event{
		"damaged":              func() cloudevent.Event { e := good; e.Data = e.Data[:20]; return e },
		"a damaged status":     func() cloudevent.Event { e := status; e.Data = []byte(`{"conversationID":1}`); return e },
		"another conversation": func() cloudevent.Event { e := good; e.Data = []byte(`{"conversationID":"x","raw":{}}`); return e },
		"a status of another": func() cloudevent.Event {
			e := status
			e.Data = []byte(`{"conversationID":"x","sendID":"a","status":"sent"}`)
			return e
		},
		"a status of nothing": func() cloudevent.Event {
			e := status
			e.Data = []byte(`{"conversationID":"a+b/c=","status":"sent"}`)
			return e
		},
		"another type": func() cloudevent.Event { e := good; e.Type = cloudevent.TypeUnknown; return e },
	} {
		if got := all(conversation.Apply(s, change())); got != want {
			t.Errorf("%s changes the state to %s", name, got)
		}
	}
}

// TestReactions: a reaction has, or may have, the id of the message that it is about, and takes nothing from it.
func TestReactions(t *testing.T) {
	reaction := func(operation string, seconds int) cloudevent.Event {
		return webhook(t, "im_send_msg", at(seconds), false, map[string]any{"message_id": "10", "type": "reaction", "reaction": []any{
			map[string]any{"operation": operation, "type": "EMOJI", "emoji": "👍", "original_msg_id": "10"},
		}})
	}
	s := fold(true, received(t, "1", 0), reaction("ADD", 12), reaction("REMOVE", 13), echo(t, "10", "API", 11), told(t, "a", "10", cloudevent.StatusSent, 10))
	var got []string
	for _, m := range s.Messages() {
		got = append(got, m.Data.Kind+" "+m.SendID)
	}
	if want := []string{"reaction ", "reaction ", "text a", "text "}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.Known().SentSince; got != 1 {
		t.Errorf("%d messages use up the quota", got)
	}
	if got := s.Untold(); len(got) != 1 || got[0].Data.SendID != "a" {
		t.Errorf("to be told: %+v", got)
	}
}
