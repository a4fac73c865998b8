package conversation_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

// eventful is a conversation in which everything happens that may.
func eventful(t testing.TB) []cloudevent.Event {
	with := func(fields map[string]any, more ...any) map[string]any {
		for i := 0; i < len(more); i += 2 {
			fields[more[i].(string)] = more[i+1]
		}
		return fields
	}
	reaction := func(operation string, seconds int) cloudevent.Event { // both with the id of the message that they are about
		return webhook(t, "im_receive_msg", at(seconds), true, map[string]any{"message_id": "10", "type": "reaction", "reaction": []any{
			map[string]any{"operation": operation, "type": "EMOJI", "emoji": "👍", "original_msg_id": "10"},
		}})
	}
	referral := func(source string, block map[string]any, seconds int) cloudevent.Event {
		return webhook(t, "im_referral_msg", at(seconds), true, map[string]any{"referral": map[string]any{"source": source, source: block}})
	}
	elsewhere := received(t, "99", 5000)
	elsewhere.Data = []byte(`{"conversationID":"other","messageID":"99","direction":"inbound","kind":"text","text":"x"}`)
	return []cloudevent.Event{
		referral("short_link", map[string]any{"ref": "bio"}, -5), referral("ad", map[string]any{"ad_id": "1"}, 35),
		received(t, "1", 0), received(t, "2", 20), received(t, "3", 40),
		webhook(t, "im_receive_msg", at(20), true, with(text("question 2"), "message_id", "2", "fetched", true, "is_follower", nil)),
		webhook(t, "im_receive_msg", at(50), true, with(text("q"), "message_id", "4", "is_follower", true, "from", "anna")),
		webhook(t, "im_receive_msg", at(50), true, with(text("q"), "message_id", "5", "from", "zoe")),
		told(t, "a", "", cloudevent.StatusAccepted, 10), told(t, "a", "10", cloudevent.StatusSent, 10), echo(t, "10", "API", 11),
		told(t, "b", "", cloudevent.StatusAccepted, 25), told(t, "b", "11", cloudevent.StatusSent, 25), echo(t, "11", "API", 26),
		told(t, "c", "", cloudevent.StatusAccepted, 41), told(t, "c", "", cloudevent.StatusFailed, 41),
		told(t, "d", "", cloudevent.StatusAccepted, 51), told(t, "d", "", cloudevent.StatusFailed, 51), told(t, "d", "12", cloudevent.StatusSent, 51),
		told(t, "e", "", cloudevent.StatusAccepted, 52), told(t, "f", "13", cloudevent.StatusSent, 53), told(t, "f", "", cloudevent.StatusAccepted, 54),
		told(t, "", "14", cloudevent.StatusDelivered, 27), echo(t, "14", "APP", 27), echo(t, "15", "WEB", 60), told(t, "", "15", cloudevent.StatusRead, 60),
		webhook(t, "im_send_msg", at(1), false, with(text("Hello!"), "message_id", "16", "auto_message_type", "WELCOME_MESSAGE")),
		webhook(t, "im_send_msg", at(2), false, text("without an id")),
		webhook(t, "im_send_msg", at(3), false, map[string]any{"message_id": "17", "type": "text", "text": map[string]any{"body": "one"}}),
		webhook(t, "im_send_msg", at(3), false, map[string]any{"message_id": "17", "type": "text", "text": map[string]any{"body": "other"}}),
		reaction("ADD", 12), reaction("REMOVE", 13), read(t, 11), read(t, 26), elsewhere,
	}
}

// TestOrderAndRepetition: any order of any part of the events, however often they come, gives the same state; and on the way no message's status
// goes back.
func TestOrderAndRepetition(t *testing.T) {
	events := eventful(t)
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		some := slices.Clone(events)
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:r.IntN(len(some)+1)]
		want := all(fold(seed%2 == 0, some...))
		again := slices.Concat(some, some[:r.IntN(len(some)+1)], some[:r.IntN(len(some)+1)])
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		s, seen := conversation.New(id, seed%2 == 0), map[string]cloudevent.Status{}
		for _, e := range again {
			before, view := s, ""
			if seed%10 == 0 { // it takes long
				view = all(before)
			}
			s = conversation.Apply(s, e)
			if view != "" && all(before) != view {
				t.Fatalf("seed %d: applying an event changed the state before it", seed)
			}
			for _, m := range s.Messages() {
				for _, name := range []string{m.ID, m.SendID} {
					if name == "" || m.Data.Direction == cloudevent.Inbound {
						continue
					}
					if seen[name].Supersedes(m.Status) {
						t.Fatalf("seed %d: %s was %s and becomes %s", seed, name, seen[name], m.Status)
					}
					seen[name] = m.Status
				}
			}
		}
		if got := all(s); got != want {
			t.Fatalf("seed %d:\n%s\nin another order:\n%s", seed, want, got)
		}
	}
}

// TestStatuses: every set of facts about one send, in every order.
func TestStatuses(t *testing.T) {
	facts := []cloudevent.Event{
		told(t, "a", "", cloudevent.StatusAccepted, 10), told(t, "a", "10", cloudevent.StatusSent, 10), told(t, "a", "", cloudevent.StatusFailed, 10),
		echo(t, "10", "API", 11), read(t, 11),
	}
	const accepted, sent, failed, echoed, marked = 1, 2, 4, 8, 16
	// want is the status of the message with TikTok's id, and of what was sent.
	want := func(set int) (message, send string) {
		switch {
		case set&echoed != 0 && set&marked != 0:
			message = "read"
		case set&echoed != 0:
			message = "delivered"
		case set&sent != 0:
			message = "sent"
		}
		switch {
		case set&sent != 0:
			send = message // they are the same one
		case set&failed != 0:
			send = "failed"
		case set&accepted != 0:
			send = "accepted"
		}
		return message, send
	}
	for set := range 1 << len(facts) {
		var some []cloudevent.Event
		for i, fact := range facts {
			if set&(1<<i) != 0 {
				some = append(some, fact)
			}
		}
		message, send := want(set)
		permute(some, func(order []cloudevent.Event) {
			s := fold(true, order...)
			if got := statusOf(s, "10"); got != message {
				t.Errorf("facts %05b: the message is %q, want %q", set, got, message)
			}
			if got := statusOf(s, "a"); got != send {
				t.Errorf("facts %05b: the send is %q, want %q", set, got, send)
			}
			if m := s.Message("a"); m != nil && (m.Code != 0) != (send == "failed") {
				t.Errorf("facts %05b: %s with code %d", set, send, m.Code)
			}
			if set&sent != 0 && len(s.Messages()) != 1 {
				t.Errorf("facts %05b: one message is %d", set, len(s.Messages()))
			}
		})
	}
}

func statusOf(s conversation.State, name string) string {
	if m := s.Message(name); m != nil {
		return string(m.Status)
	}
	return ""
}

// permute calls f with every order.
func permute[T any](list []T, f func([]T)) {
	if len(list) == 0 {
		f(nil)
		return
	}
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		permute(rest, func(tail []T) { f(append([]T{list[i]}, tail...)) })
	}
}

// TestStateIsBounded: of a long conversation the newest messages are held, the same in any order, and the user's two last however old.
func TestStateIsBounded(t *testing.T) {
	var events []cloudevent.Event
	for i := range 3 {
		events = append(events, received(t, strconv.Itoa(1000+i), i))
	}
	for i := range 300 {
		n := strconv.Itoa(2000 + i)
		events = append(events, echo(t, n, "APP", 10+i), told(t, "s"+n, n, cloudevent.StatusSent, 10+i), told(t, "", n, cloudevent.StatusDelivered, 10+i))
	}
	want := ""
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		s := fold(false, events...)
		messages := s.Messages()
		if len(messages) != conversation.MaxMessages || messages[0].ID != "2299" || messages[99].ID != "2200" || messages[99].SendID != "s2200" {
			t.Fatalf("%d messages, from %s to %+v", len(messages), messages[0].ID, messages[len(messages)-1])
		}
		if k := s.Known(); k.UserMessages != 2 || !k.LastUserMessage.Equal(at(2)) || k.SentSince != conversation.MaxMessages {
			t.Fatalf("the rules get %+v", k)
		}
		if got := all(s); want != "" && got != want {
			t.Fatalf("seed %d:\n%s\nafter\n%s", seed, got, want)
		} else {
			want = got
		}
	}
}
