package conversation_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/conversation"
)

const (
	id       = "a+b/c="
	business = "-biz"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// at is so many seconds after the start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func person(id, username, role string) map[string]any {
	return map[string]any{"id": id, "role": role, "name": username}
}

// webhook makes an event as TikTok's webhook becomes one. The fields are added to the content.
func webhook(t testing.TB, event string, when time.Time, fromUser bool, fields map[string]any) cloudevent.Event {
	t.Helper()
	user, shop := person("u1", "ann", "personal_account"), person(business, "shop", "business_account")
	from, to := shop, user
	if fromUser {
		from, to = user, shop
	}
	content := map[string]any{
		"conversation_id": id, "timestamp": when.UnixMilli(), "unique_identifier": "user-1", "is_follower": false,
		"from": from["name"], "to": to["name"], "from_user": from, "to_user": to,
	}
	for name, value := range fields {
		content[name] = value
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	envelope := map[string]any{"client_key": "k", "event": event, "create_time": when.Unix(), "user_openid": business, "content": string(text)}
	if content["fetched"] != nil {
		envelope["fetched"] = true
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return normalize(t, cloudevent.Input{ID: fmt.Sprintf("evt_%s_%v_%d", event, content["message_id"], when.UnixMilli()), Body: body})
}

func normalize(t testing.TB, in cloudevent.Input) cloudevent.Event {
	t.Helper()
	in.Namespace, in.Name, in.ReceivedAt = "ns", "main", at(1_000_000)
	e, err := cloudevent.Normalize(in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func text(body string) map[string]any {
	return map[string]any{"type": "text", "text": map[string]any{"body": body}}
}

func received(t testing.TB, message string, seconds int) cloudevent.Event {
	f := text("question " + message)
	f["message_id"] = message
	return webhook(t, "im_receive_msg", at(seconds), true, f)
}

// echo is of a message of the business's; the source is APP, WEB or API.
func echo(t testing.TB, message, source string, seconds int) cloudevent.Event {
	f := text("answer " + message)
	f["message_id"], f["message_tag"] = message, map[string]any{"source": source}
	return webhook(t, "im_send_msg", at(seconds), false, f)
}

func read(t testing.TB, seconds int) cloudevent.Event {
	return webhook(t, "im_mark_read_msg", at(seconds+1), true, map[string]any{"read": map[string]any{"last_read_timestamp": at(seconds).UnixMilli()}})
}

// told is an event of the operator's about a send, accepted at that second.
func told(t testing.TB, send, message string, s cloudevent.Status, acceptedAt int) cloudevent.Event {
	accepted := at(acceptedAt)
	d := cloudevent.StatusData{
		BusinessID: business, ConversationID: id, SendID: send, MessageID: message, Status: s, AcceptedAt: &accepted, IdempotencyKey: "key " + send,
		Content: cloudevent.Summarize("text", "answer "+message),
	}
	if s == cloudevent.StatusFailed {
		d.Code, d.Explanation = 40064, "Wait."
	}
	return statusEvent(t, cloudevent.StatusEvent{Time: accepted.Add(time.Second), Data: d})
}

func statusEvent(t testing.TB, e cloudevent.StatusEvent) cloudevent.Event {
	t.Helper()
	body, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	return normalize(t, cloudevent.Input{ID: "sts_1", Own: true, Body: body})
}

func fold(complete bool, events ...cloudevent.Event) conversation.State {
	s := conversation.New(id, complete)
	for _, e := range events {
		s = conversation.Apply(s, e)
	}
	return s
}

// all is everything that can be seen of a state.
func all(s conversation.State) string {
	text, err := json.MarshalIndent(struct{ Messages, Summary, Known, Untold any }{s.Messages(), s.Summary(), s.Known(), s.Untold()}, "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}
