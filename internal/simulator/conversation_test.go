package simulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// listed are the ids of a business's conversations, page by page.
func (b *bench) listed(token, kind, limit string) (ids []string, pages int) {
	b.Helper()
	pairs := []string{"business_id", business, "conversation_type", kind, "limit", limit}
	for {
		r := b.get(conversationsEndpoint, token, pairs...)
		b.want(r, 0)
		pages++
		items, _ := r.Data["conversations"].([]any)
		for _, item := range items {
			conv, _ := item.(map[string]any)
			id, _ := conv["conversation_id"].(string)
			ids = append(ids, id)
		}
		if r.Data["has_more"] != true {
			return ids, pages
		}
		pairs = append(pairs[:6:6], "cursor", r.text("cursor"))
	}
}

// contents are the messages of a conversation.
func (b *bench) contents(token, conversation string) []map[string]any {
	b.Helper()
	r := b.get(contentEndpoint, token, "business_id", business, "conversation_id", conversation)
	b.want(r, 0)
	items, _ := r.Data["messages"].([]any)
	var messages []map[string]any
	for _, item := range items {
		m, _ := item.(map[string]any)
		messages = append(messages, m)
	}
	return messages
}

// A user of the EEA writes: the webhook is silent, and only the lists know.
func TestListsShowWhatTheWebhookHides(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	token := b.sim.IssueToken(business).AccessToken
	d := b.send(simulator.Event{Event: "im_receive_msg_eu", User: "zoe", Text: "Grüezi"})
	if body := rcv.all()[0].body; strings.Contains(body, "Grüezi") || strings.Contains(body, d.MessageID) || strings.Contains(body, "zoe") ||
		!strings.Contains(body, `"im_receive_msg_eu"`) || d.MessageID == "" || !strings.ContainsAny(d.ConversationID, "+/=") {
		t.Fatalf("delivery %+v of %s", d, body)
	}
	if ids, _ := b.listed(token, "STRANGER", "100"); fmt.Sprint(ids) != fmt.Sprint([]string{d.ConversationID}) {
		t.Errorf("message requests: %q", ids)
	}
	messages := b.contents(token, d.ConversationID)
	if len(messages) != 1 {
		t.Fatalf("messages %v", messages)
	}
	m := messages[0]
	from, _ := m["from_user"].(map[string]any)
	text, _ := m["text"].(map[string]any)
	if m["message_type"] != "TEXT" || text["body"] != "Grüezi" || m["message_id"] != d.MessageID || m["sender"] != "zoe" || m["recipient"] != "acme" ||
		from["role"] != "PERSONAL_ACCOUNT" || m["timestamp"] != float64(begin.UnixMilli()) || m["type"] != nil || m["from"] != nil {
		t.Errorf("message %v", m)
	}
	b.clock.Step(time.Second)
	b.send(simulator.Event{Event: "im_send_msg", User: "zoe", Text: "Hello"}) // the business answers
	if ids, _ := b.listed(token, "STRANGER", "100"); len(ids) != 0 {
		t.Errorf("message requests after an answer: %q", ids)
	}
	if ids, _ := b.listed(token, "SINGLE", "100"); len(ids) != 1 {
		t.Errorf("conversations after an answer: %q", ids)
	}
	if messages = b.contents(token, d.ConversationID); len(messages) != 2 || messages[0]["sender"] != "acme" {
		t.Errorf("messages, newest first: %v", messages)
	}
	b.clock.Step(91 * 24 * time.Hour)
	token = b.sim.IssueToken(business).AccessToken
	if ids, _ := b.listed(token, "SINGLE", "100"); len(ids) != 0 {
		t.Errorf("conversations after 91 days: %q", ids)
	}
}

func TestListsAreBoundedAndPaged(t *testing.T) {
	b := newBench(t)
	newReceiver(b, 500, "DIRECT_MESSAGE") // that nobody took the webhook changes nothing
	token := b.sim.IssueToken(business).AccessToken
	var want []string
	for i := range 7 {
		d := b.send(simulator.Event{Event: "im_receive_msg_eu", User: fmt.Sprint("user", i), NoRetry: true})
		want = append([]string{d.ConversationID}, want...)
	}
	if ids, pages := b.listed(token, "STRANGER", "3"); fmt.Sprint(ids) != fmt.Sprint(want) || pages != 3 {
		t.Errorf("%d pages: %q\nwant 3: %q", pages, ids, want)
	}
	b.send(simulator.Event{Event: "im_receive_msg_eu", User: "user2", MessageID: "twice", NoRetry: true})
	b.send(simulator.Event{Event: "im_receive_msg_eu", User: "user2", MessageID: "twice", NoRetry: true})
	for _, signature := range []string{"wrong", "missing"} {
		b.send(simulator.Event{User: "forged", Signature: signature})
	}
	if ids, _ := b.listed(token, "STRANGER", "100"); ids[0] != want[4] || len(ids) != 7 || len(b.contents(token, want[4])) != 2 {
		t.Errorf("conversations %q, the first with %d messages", ids, len(b.contents(token, ids[0])))
	}
	for i := range 30 {
		b.send(simulator.Event{User: "user2", MessageID: fmt.Sprint("m", i), NoRetry: true})
	}
	if m := b.contents(token, want[4]); len(m) != 20 || m[0]["message_id"] != "m29" || m[19]["message_id"] != "m10" {
		t.Errorf("%d messages, from %v to %v", len(m), m[0]["message_id"], m[len(m)-1]["message_id"])
	}
}

func TestListsAreStrict(t *testing.T) {
	b := newBench(t)
	newReceiver(b, 200, "DIRECT_MESSAGE")
	token := b.sim.IssueToken(business).AccessToken
	b.sim.AddBusiness(simulator.Business{OpenID: "-000b2"})
	elsewhere := b.send(simulator.Event{Business: "-000b2"}).ConversationID
	for name, tt := range map[string]struct {
		endpoint string
		pairs    []string
		code     int
	}{
		"no type":                   {conversationsEndpoint, []string{"business_id", business}, 40002},
		"another type":              {conversationsEndpoint, []string{"business_id", business, "conversation_type", "GROUP"}, 40002},
		"a limit of none":           {conversationsEndpoint, []string{"business_id", business, "conversation_type", "SINGLE", "limit", "0"}, 40002},
		"a limit beyond":            {conversationsEndpoint, []string{"business_id", business, "conversation_type", "SINGLE", "limit", "101"}, 40002},
		"a cursor of its own":       {conversationsEndpoint, []string{"business_id", business, "conversation_type", "SINGLE", "cursor", "next"}, 40002},
		"an unknown parameter":      {conversationsEndpoint, []string{"business_id", business, "conversation_type", "SINGLE", "page", "1"}, 40002},
		"no limit":                  {conversationsEndpoint, []string{"business_id", business, "conversation_type", "SINGLE"}, 0},
		"somebody else":             {conversationsEndpoint, []string{"business_id", "-000b2", "conversation_type", "SINGLE"}, 40001},
		"no conversation":           {contentEndpoint, []string{"business_id", business}, 40002},
		"another's conversation":    {contentEndpoint, []string{"business_id", business, "conversation_id", elsewhere}, 40002},
		"an unescaped conversation": {contentEndpoint, []string{"business_id", business, "conversation_id", strings.ReplaceAll(elsewhere, "+", " ")}, 40002},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.T = t
			b.want(b.get(tt.endpoint, token, tt.pairs...), tt.code)
		})
	}
	narrow := b.sim.IssueToken(business, "user.info.basic").AccessToken
	b.want(b.get(conversationsEndpoint, narrow, "business_id", business, "conversation_type", "SINGLE"), 40001)
	b.want(b.get(contentEndpoint, "act.x", "business_id", business, "conversation_id", "c"), 40105)
}
