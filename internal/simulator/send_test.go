package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const (
	sendEndpoint       = "business/message/send/"
	uploadEndpoint     = "business/message/media/upload/"
	downloadEndpoint   = "business/message/media/download/"
	capabilityEndpoint = "business/message/capabilities/get/"

	pngHead = "\x89PNG\r\n\x1a\n"
)

// call is a POST with a token.
func (b *bench) call(endpoint, token, body string) reply {
	b.Helper()
	req := b.request(http.MethodPost, b.url+"/open_api/v1.3/"+endpoint, "application/json", body)
	req.Header.Set("Access-Token", token)
	return b.do(req)
}

func sendBody(conversation, rest string) string {
	return fmt.Sprintf(`{"business_id":%q,"recipient_type":"CONVERSATION","recipient":%q,%s}`, business, conversation, rest)
}

func textBody(text string) string {
	return fmt.Sprintf(`"message_type":"TEXT","text":{"body":%q}`, text)
}

func (b *bench) upload(token, content string) reply {
	b.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("business_id", business)
	_ = form.WriteField("media_type", "IMAGE")
	part, _ := form.CreateFormFile("file", "x.png")
	_, _ = part.Write([]byte(content))
	_ = form.Close()
	req := b.request(http.MethodPost, b.url+"/open_api/v1.3/"+uploadEndpoint, form.FormDataContentType(), body.String())
	req.Header.Set("Access-Token", token)
	return b.do(req)
}

// talk is a conversation that the user has begun.
func talk(t *testing.T) (b *bench, token, conversation string) {
	b = newBench(t)
	newReceiver(b, 200, "DIRECT_MESSAGE")
	conversation = b.send(simulator.Event{Text: "hello"}).ConversationID
	return b, b.sim.IssueToken(business).AccessToken, conversation
}

func TestContentRules(t *testing.T) {
	b, token, conversation := talk(t)
	b.done("POST", "businesses", `{"openID":"biz-0001","posts":["73"]}`)
	up := b.upload(token, pngHead)
	b.want(up, 0)
	x := func(n int) string { return strings.Repeat("é", n) }
	card := func(kind, title, label string, buttons int) string {
		button := fmt.Sprintf(`{"type":"REPLY","title":%q,"id":"i"}`, label)
		return fmt.Sprintf(`"message_type":"TEMPLATE","template":{"type":%q,"title":%q,"buttons":[%s]}`, kind, title,
			strings.TrimSuffix(strings.Repeat(button+",", buttons), ","))
	}
	b.send(simulator.Event{Text: "second"}) // so that no quota is in the way
	quoted := b.contents(token, conversation)[0]["message_id"]
	for _, tt := range []struct {
		body string
		code int
	}{
		{textBody(x(6000)), 0}, {textBody(x(6001)), 40002}, {textBody(""), 40002}, {`"message_type":"TEXT"`, 40002},
		{`"message_type":"TEXT","text":"hi"`, 40002}, {`"message_type":"TEXT","text":{"body":"a","b":1}`, 40002},
		{textBody("a") + `,"image":{"media_id":"m"}`, 40002}, {`"message_type":"VIDEO","image":{"media_id":"m"}`, 40002},
		{textBody("a") + fmt.Sprintf(`,"referenced_message_info":{"referenced_message_id":"%v"}`, quoted), 0},
		{textBody("a") + `,"referenced_message_info":{"referenced_message_id":"1"}`, 40002},
		{textBody("a") + `,"referenced_message_info":{}`, 40002},
		{fmt.Sprintf(`"message_type":"IMAGE","image":{"media_id":%q}`, up.text("media_id")), 0},
		{fmt.Sprintf(`"message_type":"IMAGE","image":{"media_id":%q},"referenced_message_info":{"referenced_message_id":"%v"}`, up.text("media_id"), quoted), 40002},
		{`"message_type":"IMAGE","image":{"media_id":"m"}`, 40002},
		{`"message_type":"SHARE_POST","share_post":{"item_id":"73"}`, 0}, {`"message_type":"SHARE_POST","share_post":{"item_id":"74"}`, 40002},
		{card("QA_BUTTON_CARD", x(40), x(20), 3), 0}, {card("QA_BUTTON_CARD", x(41), "a", 1), 40002}, {card("QA_BUTTON_CARD", "a", x(21), 1), 40002},
		{card("QA_LINK_CARD", "a", x(40), 1), 0}, {card("QA_LINK_CARD", "a", x(41), 1), 40002}, {card("QA_CARD", "a", "a", 1), 40002},
		{card("QA_LINK_CARD", "a", "a", 0), 40002}, {card("QA_LINK_CARD", "a", "a", 4), 40002},
		{`"message_type":"SENDER_ACTION","sender_action":"TYPING"`, 0}, {`"message_type":"SENDER_ACTION","sender_action":"MARK_READ"`, 0},
		{`"message_type":"SENDER_ACTION","sender_action":"DANCE"`, 40002}, {textBody("a") + `,"sender_action":"TYPING"`, 40002},
		{textBody("a") + `,"direct_reply":{}`, 40002},
	} {
		r := b.call(sendEndpoint, token, sendBody(conversation, tt.body))
		if r.Code != tt.code {
			t.Errorf("%.120s: code %d %s, want %d", tt.body, r.Code, r.Message, tt.code)
		}
		message, _ := r.Data["message"].(map[string]any)
		if id, _ := message["message_id"].(string); (id != "") != (tt.code == 0 && !strings.Contains(tt.body, "SENDER_ACTION")) {
			t.Errorf("%.120s: data %v", tt.body, r.Data)
		}
	}
	b.want(b.call(sendEndpoint, token, sendBody("unknown+/=", textBody("a"))), 40002)
	b.want(b.call(sendEndpoint, b.sim.IssueToken(business, "message.list.read").AccessToken, sendBody(conversation, textBody("a"))), 40001)
	if c := b.sim.Conversations(business)[0]; c.ReadByBusiness.IsZero() || c.SentSince != 6 {
		t.Errorf("the conversation is %+v", c)
	}
}

// The window, second by second.
func TestWindow(t *testing.T) {
	b, token, conversation := talk(t)
	try := func(what string, want ...int) {
		t.Helper()
		for i, code := range want {
			if r := b.call(sendEndpoint, token, sendBody(conversation, textBody("a"))); r.Code != code {
				t.Errorf("%s, message %d: code %d %s, want %d", what, i+1, r.Code, r.Message, code)
			}
		}
	}
	try("the user's only message", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40064, 40064)
	b.send(simulator.Event{Text: "second"})
	try("the second", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b.clock.Step(48*time.Hour - time.Second)
	token = b.sim.IssueToken(business).AccessToken
	try("a second before the end", 0)
	b.clock.Step(time.Second)
	try("48 hours", 0, 0, 0, 40064)
	b.send(simulator.Event{Text: "third"})
	try("opened again", 0)
	cold := b.send(simulator.Event{Event: "im_send_msg", User: "bob"}).ConversationID
	b.want(b.call(sendEndpoint, token, sendBody(cold, textBody("a"))), 40064)
	b.want(b.call(sendEndpoint, token, sendBody(cold, `"message_type":"SENDER_ACTION","sender_action":"TYPING"`)), 40064)
}

// Senders at once pass no quota together.
func TestQuotaHoldsForSendersAtOnce(t *testing.T) {
	b, token, conversation := talk(t)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		sent int
	)
	for range 40 {
		wg.Go(func() {
			if b.call(sendEndpoint, token, sendBody(conversation, textBody("a"))).Code == 0 {
				mu.Lock()
				sent++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if sent != 10 {
		t.Errorf("%d were sent, want 10", sent)
	}
}

// What was sent is echoed by webhook as the list shows it, and the conversation is no stranger's any more.
func TestEcho(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	conversation := b.send(simulator.Event{Text: "hello"}).ConversationID
	token := b.sim.IssueToken(business).AccessToken
	r := b.call(sendEndpoint, token, sendBody(conversation, textBody("hi there")))
	b.want(r, 0)
	b.eventually("the echo", func() bool { return len(rcv.all()) == 2 })
	var envelope struct{ Event, Content string }
	_ = json.Unmarshal([]byte(rcv.all()[1].body), &envelope)
	var content struct {
		MessageID string                  `json:"message_id"`
		Type      string                  `json:"type"`
		From      struct{ ID string }     `json:"from_user"`
		To        struct{ ID string }     `json:"to_user"`
		Tag       struct{ Source string } `json:"message_tag"`
		Text      struct{ Body string }
	}
	_ = json.Unmarshal([]byte(envelope.Content), &content)
	message, _ := r.Data["message"].(map[string]any)
	if envelope.Event != "im_send_msg" || content.MessageID != message["message_id"] || content.Type != "text" || content.From.ID != business ||
		content.To.ID != "user-alice" || content.Tag.Source != "API" || content.Text.Body != "hi there" {
		t.Errorf("the echo is %s", rcv.all()[1].body)
	}
	if listed := b.contents(token, conversation); len(listed) != 2 || listed[0]["message_id"] != content.MessageID || listed[0]["message_type"] != "TEXT" {
		t.Errorf("listed: %v", listed)
	}
	if ids, _ := b.listed(token, "SINGLE", "10"); len(ids) != 1 {
		t.Errorf("answered conversations: %q", ids)
	}
}

func TestMedia(t *testing.T) {
	b, token, conversation := talk(t)
	for content, code := range map[string]int{
		"\xff\xd8\xff rest": 0, pngHead + strings.Repeat("x", 3<<20-8): 0, pngHead + strings.Repeat("x", 3<<20-7): 40002, "GIF89a": 40908, "": 40002,
	} {
		if r := b.upload(token, content); r.Code != code || (r.text("media_id") != "") != (code == 0) {
			t.Errorf("%.10q of %d bytes: code %d %s %v, want %d", content, len(content), r.Code, r.Message, r.Data, code)
		}
	}
	d := b.send(simulator.Event{Kind: "image", Image: []byte(pngHead + "mine")})
	image, _ := b.contents(token, conversation)[0]["image"].(map[string]any)
	ask := func(message, kind string) reply {
		return b.call(downloadEndpoint, token, object("business_id", business, "conversation_id", conversation, "message_id", message,
			"media_id", fmt.Sprint(image["media_id"]), "media_type", kind))
	}
	b.want(ask(d.MessageID, "VIDEO"), 40007)
	b.want(ask("1", "IMAGE"), 40007)
	b.want(ask(d.MessageID, "AUDIO"), 40002)
	r := ask(d.MessageID, "IMAGE")
	b.want(r, 0)
	get := func(token string) reply {
		req := b.request(http.MethodGet, r.text("download_url"), "", "")
		req.Header.Set("X-User", token)
		return b.do(req)
	}
	if got := get(token); got.raw != pngHead+"mine" || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("HTTP %d %q", got.status, got.raw)
	}
	if got := get("act.wrong"); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong token: HTTP %d", got.status)
	}
	if got := get(b.sim.IssueToken("biz-other").AccessToken); got.status != http.StatusNotFound {
		t.Errorf("another business: HTTP %d", got.status)
	}
	b.clock.Step(24 * time.Hour)
	token = b.sim.IssueToken(business).AccessToken
	if got := get(token); got.status != http.StatusForbidden {
		t.Errorf("a day later: HTTP %d", got.status)
	}
	b.clock.Step(30 * 24 * time.Hour)
	token = b.sim.IssueToken(business).AccessToken
	b.want(ask(d.MessageID, "IMAGE"), 40007)
}

func TestImageCapability(t *testing.T) {
	b, token, conversation := talk(t)
	media := b.upload(token, pngHead).text("media_id")
	for _, allowed := range []bool{true, false, true} {
		b.done("POST", "conversations", fmt.Sprintf(`{"user":"alice","images":%t}`, allowed))
		r := b.get(capabilityEndpoint, token, "business_id", business, "conversation_id", conversation, "conversation_type", "SINGLE",
			"capability_types", `["IMAGE_SEND"]`)
		b.want(r, 0)
		if !strings.Contains(r.raw, fmt.Sprintf(`{"capability_result":%t,"capability_type":"IMAGE_SEND"}`, allowed)) {
			t.Errorf("%t: %s", allowed, r.raw)
		}
		code := map[bool]int{true: 0, false: 40064}[allowed]
		b.want(b.call(sendEndpoint, token, sendBody(conversation, fmt.Sprintf(`"message_type":"IMAGE","image":{"media_id":%q}`, media))), code)
	}
	for _, pairs := range [][]string{{"capability_types", `["X"]`}, {"conversation_id", "x"}, {"conversation_type", "GROUP"}} {
		all := append([]string{
			"business_id", business, "conversation_id", conversation, "conversation_type", "SINGLE", "capability_types", `["IMAGE_SEND"]`,
		}, pairs...)
		b.want(b.get(capabilityEndpoint, token, all...), 40002)
	}
	if status, _ := b.admin("POST", "conversations", `{"user":"nobody","images":true}`); status != 404 {
		t.Errorf("a conversation that is not there: HTTP %d", status)
	}
}

// Faults hit the calls of messages as they do all others: a send whose answer is lost was sent.
func TestFaultsOfMessages(t *testing.T) {
	b, token, conversation := talk(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: sendEndpoint, Times: 1, Code: 40064, Message: "Take a rest."})
	b.sim.InjectFault(simulator.Fault{Endpoint: sendEndpoint, Times: 1, Garbage: "truncated"})
	b.sim.InjectFault(simulator.Fault{Endpoint: uploadEndpoint, Times: 1, Status: 502})
	b.want(b.call(sendEndpoint, token, sendBody(conversation, textBody("a"))), 40064)
	if n := len(b.contents(token, conversation)); n != 1 {
		t.Errorf("%d messages after a refusal", n)
	}
	b.call(sendEndpoint, token, sendBody(conversation, textBody("a")))
	if n := len(b.contents(token, conversation)); n != 2 {
		t.Errorf("%d messages after a lost answer", n)
	}
	if r := b.upload(token, pngHead); r.status != 502 {
		t.Errorf("HTTP %d", r.status)
	}
}
