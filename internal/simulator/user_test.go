package simulator_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

const userPath = "/user?business=biz-0001&user=ann"

// play sends a form of the user's page and returns the answer, after its redirect.
func (b *bench) play(pairs ...string) reply {
	b.Helper()
	r := b.do(b.request("POST", b.url+userPath, "application/x-www-form-urlencoded", query(pairs...).Encode()))
	if r.status == http.StatusSeeOther {
		if location := r.header.Get("Location"); location != userPath {
			b.Fatalf("the page leads to %q", location)
		}
		return b.look()
	}
	return r
}

func (b *bench) look() reply {
	b.Helper()
	return b.do(b.request("GET", b.url+userPath, "", ""))
}

func (b *bench) shows(r reply, words ...string) {
	b.Helper()
	for _, word := range words {
		if !strings.Contains(r.raw, word) {
			b.Errorf("HTTP %d, the page lacks %q:\n%s", r.status, word, r.raw)
		}
	}
}

// A person plays the user: what is sent from the page arrives as webhooks, what the business sends is on the page.
func TestUserPage(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	token := b.sim.IssueToken(business).AccessToken
	b.shows(b.look(), "Nobody has written yet", "<bdi>ann</bdi> and <bdi>Acme Store (@acme)</bdi>")
	b.shows(b.play("action", "text", "text", "<b>hi</b> & bye"), "&lt;b&gt;hi&lt;/b&gt; &amp; bye")
	b.shows(b.play("action", "sticker"), "Sticker")
	b.shows(b.play("action", "post", "post", "7300"), "Shared post 7300")
	r := b.play("action", "image")
	src := regexp.MustCompile(`src="([^"]+)"`).FindStringSubmatch(r.raw)
	if src == nil {
		t.Fatalf("no image: %s", r.raw)
	}
	if image := b.do(b.request("GET", b.url+strings.ReplaceAll(src[1], "&amp;", "&"), "", "")); image.header.Get("Content-Type") != "image/png" {
		t.Errorf("the image is HTTP %d %v", image.status, image.header)
	}
	conversation := b.sim.Conversations(business)[0].ID
	text := b.call(sendEndpoint, token, sendBody(conversation, `"message_type":"TEMPLATE","template":{"type":"QA_LINK_CARD","title":"Which?",`+
		`"buttons":[{"type":"REPLY","title":"This one","id":"1"}]}`))
	b.want(text, 0)
	b.want(b.call(sendEndpoint, token, sendBody(conversation, `"message_type":"SENDER_ACTION","sender_action":"TYPING"`)), 0)
	b.shows(b.look(), "Which?", `value="1" dir="auto">This one</button>`, "is typing")
	b.shows(b.play("action", "read"), "read")
	b.eventually("the webhooks", func() bool { return len(rcv.all()) == 6 })
	kinds := map[string]int{}
	for _, hook := range rcv.all() {
		kinds[regexp.MustCompile(`"event":"([a-z_]+)"`).FindStringSubmatch(hook.body)[1]]++
	}
	if fmt.Sprint(kinds) != "map[im_mark_read_msg:1 im_receive_msg:4 im_send_msg:1]" {
		t.Errorf("webhooks: %v", kinds)
	}
	if b.sim.Conversations(business)[0].ReadByUser.IsZero() {
		t.Error("the read mark is not kept")
	}
}

// An uploaded file is what the business downloads, and one that is none is refused in words on the page.
func TestUserUploads(t *testing.T) {
	b := newBench(t)
	newReceiver(b, 200, "DIRECT_MESSAGE")
	for content, want := range map[string]int{pngHead + "mine": http.StatusSeeOther, "GIF89a": http.StatusConflict} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		_ = form.WriteField("action", "image")
		part, _ := form.CreateFormFile("file", "x.png")
		_, _ = part.Write([]byte(content))
		_ = form.Close()
		r := b.do(b.request("POST", b.url+userPath, form.FormDataContentType(), body.String()))
		if r.status != want {
			t.Errorf("%q: HTTP %d", content, r.status)
		}
		if want == http.StatusConflict {
			b.shows(r, `role="alert"`, "JPEG or PNG")
		}
	}
}

func TestUserPageRefuses(t *testing.T) {
	b := newBench(t)
	refused := b.play("action", "text", "text", "\n hi <there>")
	b.shows(refused, `role="alert"`, "No webhook is registered", ">\n\n hi &lt;there&gt;</textarea>")
	if refused.status != http.StatusConflict {
		t.Errorf("refused with HTTP %d", refused.status)
	}
	b.shows(b.play("action", "post", "post", "7311"), "No webhook is registered", `value="7311" required autofocus`)
	b.shows(b.play("action", "tap", "card", "1", "button", "2"), "There is no such button")
	b.shows(b.play("action", "text"), "The text is empty.")
	b.shows(b.play("action", "dance"), "not known")
	if r := b.do(b.request("GET", b.url+"/user?business=nobody", "", "")); r.status != http.StatusNotFound {
		t.Errorf("an unknown business: HTTP %d", r.status)
	}
	if r := b.do(b.request("POST", b.url+"/user", "", "")); r.status != http.StatusMethodNotAllowed {
		t.Errorf("nobody's form: HTTP %d", r.status)
	}
	if r := b.do(b.request("GET", b.url+"/user/media?business=biz-0001&id="+url.QueryEscape("../x"), "", "")); r.status != http.StatusNotFound {
		t.Errorf("no media: HTTP %d", r.status)
	}
	if r := b.do(b.request("GET", b.url+"/user", "", "")); r.status != 200 || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") ||
		!strings.Contains(r.header.Get("Content-Security-Policy"), "form-action 'self'") {
		t.Errorf("HTTP %d, policy %q", r.status, r.header.Get("Content-Security-Policy"))
	}
}

// A browser would not follow the consent page's answer to the app under form-action 'self'.
func TestConsentPageMayLeadElsewhere(t *testing.T) {
	b := newBench(t)
	if r := b.do(b.request("GET", b.authorizeURL(), "", "")); r.status != 200 || strings.Contains(r.header.Get("Content-Security-Policy"), "form-action") {
		t.Errorf("HTTP %d, policy %q", r.status, r.header.Get("Content-Security-Policy"))
	}
}

// A tap on a card's button is a message that says which one it was.
func TestUserTapsAButton(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	token := b.sim.IssueToken(business).AccessToken
	b.play("action", "text", "text", "hi")
	conversation := b.sim.Conversations(business)[0].ID
	sent := b.call(sendEndpoint, token, sendBody(conversation, `"message_type":"TEMPLATE","template":{"type":"QA_BUTTON_CARD","title":"Which?",`+
		`"buttons":[{"type":"REPLY","title":"This","id":"b/1"},{"type":"REPLY","title":"That","id":"b/2"}]}`))
	b.want(sent, 0)
	message, _ := sent.Data["message"].(map[string]any)
	id, _ := message["message_id"].(string)
	b.shows(b.play("action", "tap", "card", id, "button", "b/2"), "<strong><bdi>You</bdi></strong>", `<p class="said" dir="auto">That</p>`)
	want := `\"reply_source_payload\":{\"reply_source_msg_id\":\"` + id + `\",\"reply_source_unique_id\":\"b/2\"}`
	b.eventually("the tap's webhook", func() bool {
		return slices.ContainsFunc(rcv.all(), func(r received) bool { // in whatever order they are delivered
			return strings.Contains(r.body, want) && strings.Contains(r.body, `\"body\":\"That\"`) && strings.Contains(r.body, `"event":"im_receive_msg"`)
		})
	})
	for _, button := range [][2]string{{id, "b/3"}, {"1", "b/1"}, {b.contents(token, conversation)[2]["message_id"].(string), "b/1"}} {
		r := b.play("action", "tap", "card", button[0], "button", button[1])
		if b.shows(r, "There is no such button"); r.status != http.StatusConflict {
			t.Errorf("%v: HTTP %d", button, r.status)
		}
	}
	if status, out := b.admin("POST", "events", fmt.Sprintf(`{"user":"ann","kind":"tap","card":%q,"button":"b/3"}`, id)); status != http.StatusConflict {
		t.Errorf("no such button: HTTP %d %v", status, out)
	}
	if status, out := b.admin("POST", "events", fmt.Sprintf(`{"user":"ann","card":%q,"button":"b/1"}`, id)); status != http.StatusBadRequest {
		t.Errorf("no tap: HTTP %d %v", status, out)
	}
	b.done("POST", "events", fmt.Sprintf(`{"user":"ann","kind":"tap","card":%q,"button":"b/1"}`, id))
	b.shows(b.look(), `<p class="said" dir="auto">This</p>`)
}

// A message whose webhook the app did not take says so until the app takes it.
func TestUserSeesWhatWasNotDelivered(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 503, "DIRECT_MESSAGE")
	const refused = "the app answered its webhook with HTTP 503"
	b.shows(b.play("action", "text", "text", "hi"), refused)
	rcv.answer(200)
	b.eventually("the retry", func() bool { b.clock.Step(time.Second); return len(rcv.all()) > 1 })
	b.eventually("the page to know", func() bool { return !strings.Contains(b.look().raw, refused) })
	b.sim.SetWebhook("DIRECT_MESSAGE", "http://127.0.0.1:1/")
	b.shows(b.play("action", "sticker"), "the app did not answer its webhook")
}

// The page says what the business may still send, and the business may send just that.
func TestUserSeesTheWindow(t *testing.T) {
	b := newBench(t)
	newReceiver(b, 200, "DIRECT_MESSAGE")
	token := b.sim.IssueToken(business).AccessToken
	b.play("action", "text", "text", "hi")
	conversation := b.sim.Conversations(business)[0].ID
	send := func(times, code int) {
		t.Helper()
		for range times {
			b.want(b.call(sendEndpoint, token, sendBody(conversation, textBody("psst"))), code)
		}
	}
	acme := "Acme Store (@acme) may "
	b.shows(b.look(), acme+"send 10 more messages until 2026-03-03 12:00:00 UTC, and as many as it likes once you write again.")
	send(9, 0)
	b.shows(b.look(), acme+"send one more message until 2026-03-03 12:00:00 UTC")
	send(1, 0)
	b.shows(b.look(), acme+"not send anything until you write again: it has sent the 10 messages that follow a first one. "+
		"From 2026-03-03 12:00:00 UTC on it may send 3 more messages.")
	send(1, 40064)
	b.clock.Step(48 * time.Hour)
	token = b.sim.IssueToken(business).AccessToken
	b.shows(b.look(), "The 48-hour window closed at 2026-03-03 12:00:00 UTC. "+acme+"send 3 more messages until you write again.")
	send(3, 0)
	b.shows(b.look(), "The 48-hour window closed at 2026-03-03 12:00:00 UTC. "+acme+"not send anything until you write again.")
	send(1, 40064)
	b.shows(b.play("action", "text", "text", "still there?"), acme+"send as many messages as it likes until 2026-03-05 12:00:00 UTC.")
	send(1, 0)
	if conv := b.sim.Conversations(business)[0]; conv.MaySend != -1 || !conv.WindowCloses.Equal(b.clock.Now().Add(48*time.Hour)) {
		t.Errorf("%+v", conv)
	}
	b.send(simulator.Event{Event: "im_send_msg", User: "bob", Text: "a colleague's"})
	r := b.do(b.request("GET", b.url+"/user?business=biz-0001&user=bob", "", ""))
	b.shows(r, acme+"not send anything until you write.")
}
