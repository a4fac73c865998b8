package simulator_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

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
	b.shows(b.look(), "Nobody has written yet", "<h2", "ann and Acme Store (@acme)")
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
	b.shows(b.look(), "Which?", "This one", "is typing")
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
	b.shows(b.play("action", "text", "text", "hi"), `role="alert"`, "No webhook is registered")
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
	if r := b.do(b.request("GET", b.url+"/user", "", "")); r.status != 200 || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("HTTP %d, policy %q", r.status, r.header.Get("Content-Security-Policy"))
	}
	_ = simulator.DefaultBusiness
}
