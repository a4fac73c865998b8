package browser_test

import (
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// imageField is the name of the field for a file.
const imageField = "Image (JPEG or PNG; without a file a small one is sent)"

// said are the texts of the conversation, in order.
func (p *tab) said() []string { p.Helper(); return p.texts(".talk .said") }

func (p *tab) wantSaid(want ...string) {
	p.Helper()
	if got := p.said(); !slices.Equal(got, want) {
		p.Errorf("the conversation is %q\nwant %q", got, want)
	}
}

func (p *tab) wants(status int64) {
	p.Helper()
	if status != http.StatusOK {
		p.Fatalf("HTTP %d; the page reads\n%s", status, p.text("body"))
	}
}

// A person begins a conversation, sends what can be sent, and reads the answers in the order in which they came.
func TestConversation(t *testing.T) {
	s, p := newStage(t), openTab(t)
	p.open(s.url + "/user")
	p.fill("textbox", "You (the user's name)", "ann")
	p.wants(p.press("button", "Open the conversation"))
	if got := p.text("#talk"); got != "ann and Acme Store (@acme)" {
		t.Errorf("the conversation is called %q", got)
	}
	p.fill("textbox", "Text", "Hello?\nAnybody  there?")
	p.wants(p.press("button", "Send the text"))
	p.wants(p.press("button", "Send a sticker"))
	p.fill("textbox", "Post (its id)", "7312345678901234567")
	p.wants(p.press("button", "Share the post"))
	file := filepath.Join(t.TempDir(), "mine.png")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 67, 31))); err != nil {
		t.Fatal(err)
	}
	f.Close()
	p.attach(imageField, file)
	p.wants(p.press("button", "Send the image"))
	s.says("ann", "One moment, please.")
	s.says("ann", "It is back in stock.")
	p.wants(p.press("link", "Look again"))
	p.wantSaid("Hello?\nAnybody  there?", "Sticker: a waving hand", "Shared post 7312345678901234567", "One moment, please.", "It is back in stock.")
	if got := eval[[]int](p, `[...document.querySelectorAll(".talk img")].map(i => [i.naturalWidth, i.naturalHeight]).flat()`); !slices.Equal(got, []int{67, 31}) {
		t.Errorf("the image that was sent is shown with the sizes %v", got)
	}
	for _, words := range [][]string{
		{"im_receive_msg", `\"text\":{\"body\":\"Hello?\\nAnybody  there?\"}`}, {"im_receive_msg", `\"sticker\"`},
		{"im_receive_msg", `\"video_id\":\"7312345678901234567\"`}, {"im_receive_msg", `\"media_id\"`},
	} {
		if !s.heard(words...) {
			t.Errorf("no webhook holds %q", words)
		}
	}
	p.wants(p.press("button", "Mark all as read"))
	if !s.heard("im_mark_read_msg") || s.sim.Conversations(business)[0].ReadByUser.IsZero() {
		t.Error("nobody was told that the user has read")
	}
	if meta := p.texts(".talk .meta"); !strings.HasSuffix(meta[5], "UTC, read") || strings.HasSuffix(meta[0], "read") {
		t.Errorf("about the messages: %q", meta)
	}
	p.only(s.host)
}

// What a message holds is text, whatever it looks like, from either side and wherever it is shown.
func TestNothingRuns(t *testing.T) {
	s, p := newStage(t), openTab(t)
	const (
		bad   = `</p></textarea><img src=x onerror="document.title='run'"><script>document.title='run'</script><b>bold</b>&amp;{{.}}`
		short = `<b onclick="x()">b</b>`
		name  = `<i>ann</i>"><script>`
	)
	p.open(s.page(name))
	p.fill("textbox", "Text", bad)
	p.wants(p.press("button", "Send the text"))
	quoted := s.says(name, bad)
	if code, _ := s.answers(name, map[string]any{
		"message_type": "TEXT", "text": map[string]any{"body": "as I said"}, "referenced_message_info": map[string]any{"referenced_message_id": quoted},
	}); code != 0 {
		t.Fatalf("code %d", code)
	}
	s.asks(name, short, `<script>1</script>`)
	p.wants(p.press("link", "Look again"))
	p.wantSaid(bad, bad, bad, "as I said", short)
	s.listens(false)
	p.fill("textbox", "Text", bad)
	p.refused()
	p.press("button", "Send the text")
	p.find("button", `<script>1</script>`)
	if got := p.text("#talk"); got != name+" and Acme Store (@acme)" {
		t.Errorf("the conversation is called %q", got)
	}
	if n := eval[int](p, `document.querySelectorAll("script, img, .talk b, i").length`); n != 0 || strings.HasPrefix(eval[string](p, `document.title`), "run") {
		t.Errorf("%d elements of messages are on the page %s", n, eval[string](p, `document.title`))
	}
	p.only(s.host)
}

// A card's button is tapped, and the business learns which one.
func TestTap(t *testing.T) {
	s, p := newStage(t), openTab(t)
	s.begin("ann", "Is it there?")
	card := s.asks("ann", "Which size?", "Small", "Large, of which only a few are left")
	p.open(s.page("ann"))
	p.wantSaid("Is it there?", "Which size?")
	p.find("group", "Buttons of the card")
	p.wants(p.press("button", "Large, of which only a few are left"))
	p.wantSaid("Is it there?", "Which size?", "Large, of which only a few are left")
	if !s.heard("im_receive_msg", `\"reply_source_msg_id\":\"`+card+`\"`, `\"reply_source_unique_id\":\"button-1\"`) {
		t.Error("no webhook tells of the tap")
	}
	p.only(s.host)
}

// A refusal is a sentence beside the field, which keeps what was typed and is ready to send it again.
func TestRefusal(t *testing.T) {
	s, p := newStage(t), openTab(t)
	s.listens(false)
	p.open(s.page("ann"))
	const text = "\n  A long story, <with> lines\nand \"quotes\"."
	p.fill("textbox", "Text", text)
	p.refused()
	if status := p.press("button", "Send the text"); status != http.StatusConflict {
		t.Errorf("HTTP %d", status)
	}
	const problem = "No webhook is registered for the event's type: register one with business/webhook/update/."
	if got := p.text("[role=alert]"); got != problem {
		t.Errorf("the page says %q", got)
	}
	if got := eval[string](p, `document.querySelector("[name=text]").value`); got != text {
		t.Errorf("the text is now %q", got)
	}
	field := p.all("textbox", "Text")[0]
	if field.Description == nil || !strings.Contains(string(field.Description.Value), problem) {
		t.Error("the field is not described by the refusal")
	}
	if got := eval[string](p, `document.activeElement.name`); got != "text" {
		t.Errorf("the focus is on %q", got)
	}
	if n := len(p.said()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	s.listens(true)
	p.wants(p.press("button", "Send the text"))
	p.wantSaid(text)
	if n := len(p.all("alert", "")); n != 0 {
		t.Error("the refusal is still there")
	}
	p.fill("textbox", "Text", "one more")
	note := filepath.Join(t.TempDir(), "note.png")
	if err := os.WriteFile(note, []byte("GIF89a"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.attach(imageField, note)
	p.refused()
	p.press("button", "Send the image")
	if got := p.text("[role=alert]"); got != "The image is not one: it must be JPEG or PNG, of at most 3 MB." {
		t.Errorf("the page says %q", got)
	}
}

// Texts and names have the direction of their script, each for itself.
func TestDirection(t *testing.T) {
	s, p := newStage(t), openTab(t)
	p.open(s.page("דנה"))
	p.fill("textbox", "Text", "שלום! יש לכם מידה L?")
	p.wants(p.press("button", "Send the text"))
	s.says("דנה", "Yes, we have.")
	s.says("דנה", "نعم، لدينا (L).")
	s.asks("דנה", "איזה צבע?", "אדום", "Blue")
	p.wants(p.press("link", "Look again"))
	p.wantSaid("שלום! יש לכם מידה L?", "Yes, we have.", "نعم، لدينا (L).", "איזה צבע?")
	got := eval[[]string](p, `[...document.querySelectorAll(".talk .said, .card button")].map(e => getComputedStyle(e).direction)`)
	if want := []string{"rtl", "ltr", "rtl", "rtl", "rtl", "ltr"}; !slices.Equal(got, want) {
		t.Errorf("the directions are %q, want %q", got, want)
	}
	if name := eval[string](p, `getComputedStyle(document.querySelector("#talk bdi")).direction`); name != "rtl" {
		t.Errorf("the user's name is written %s", name)
	}
}

// The page says what the business may still send, and when it may send nothing.
func TestWindow(t *testing.T) {
	s, p := newStage(t), openTab(t)
	p.open(s.page("ann"))
	if !strings.Contains(p.text("main"), "A business cannot begin: write first.") {
		t.Errorf("the page reads\n%s", p.text("main"))
	}
	p.fill("textbox", "Text", "hi")
	p.wants(p.press("button", "Send the text"))
	wants := func(want string) {
		t.Helper()
		if p.wants(p.press("link", "Look again")); p.text("#allowed") != want {
			t.Errorf("the page says %q, want %q", p.text("#allowed"), want)
		}
	}
	wants("Acme Store (@acme) may send 10 more messages until 2026-03-03 12:00:00 UTC, and as many as it likes once you write again.")
	s.clock.Step(49 * time.Hour)
	s.renew()
	for range 3 {
		s.says("ann", "Are you still there?")
	}
	wants("The 48-hour window closed at 2026-03-03 12:00:00 UTC. Acme Store (@acme) may not send anything until you write again.")
	if code, _ := s.answers("ann", map[string]any{"message_type": "TEXT", "text": map[string]any{"body": "Hello?"}}); code != 40064 {
		t.Errorf("the business sends nevertheless: code %d", code)
	}
	p.fill("textbox", "Text", "I am")
	p.wants(p.press("button", "Send the text"))
	wants("Acme Store (@acme) may send as many messages as it likes until 2026-03-05 13:00:00 UTC.")
}

// A conversation needs no mouse: the page opens where one writes, and what is in use is marked.
func TestKeyboard(t *testing.T) {
	s, p := newStage(t), openTab(t)
	p.open(s.page("ann"))
	p.keys("hello")
	p.keys(kb.Tab)
	if style := eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`); style == "none" {
		t.Error("nothing shows that the button is in focus")
	}
	p.wants(p.key(kb.Enter))
	p.keys("again")
	p.keys(kb.Tab)
	p.wants(p.key(" "))
	p.wantSaid("hello", "again")
	for role, n := range map[string]int{"main": 1, "navigation": 1, "region": 2} {
		if got := len(p.all(role, "")); got != n {
			t.Errorf("there are %d landmarks of the role %s, want %d", got, role, n)
		}
	}
	for _, role := range []string{"button", "textbox", "combobox", "link", "img", "region", "navigation"} {
		for _, node := range p.all(role, "") {
			if nameOf(node) == "" {
				t.Errorf("something of the role %s has no name", role)
			}
		}
	}
}
