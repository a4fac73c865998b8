package messaging_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// verdicts that the two policies are to give: sent, asked, or a reason.
const (
	sent  = "sent"
	asked = "asked"
)

func give(v messaging.Verdict) string {
	switch {
	case !v.Allowed():
		return string(v.Refusal.Reason)
	case v.AskTikTok:
		return asked
	default:
		return sent
	}
}

func check(t *testing.T, name string, m messaging.Message, c messaging.Conversation, strict, lenient string) {
	t.Helper()
	for policy, want := range map[messaging.Policy]string{messaging.Strict: strict, messaging.Lenient: lenient} {
		v := messaging.Decide(policy, m, c, now)
		if got := give(v); got != want {
			t.Errorf("%s, %s: %s, want %s", name, policy, got, want)
		}
		if v.AskTikTok != (len(v.Doubts) > 0) {
			t.Errorf("%s, %s: asks %v for %v", name, policy, v.AskTikTok, v.Doubts)
		}
		if !v.Allowed() {
			checkSentence(t, v.Refusal)
		}
	}
}

// checkSentence: a refusal says why and what to do, and its reason is one of those that are documented.
func checkSentence(t *testing.T, r *messaging.Refusal) {
	t.Helper()
	if !slices.Contains(messaging.Reasons(), r.Reason) {
		t.Errorf("%s is no reason that is known", r.Reason)
	}
	if !strings.HasSuffix(r.Sentence, ".") || strings.Contains(r.Sentence, "%!") || r.Error() != r.Sentence {
		t.Errorf("%s: %q", r.Reason, r.Sentence)
	}
}

func open() messaging.Conversation {
	return messaging.Conversation{
		Begun: messaging.BegunByUser, LastUserMessage: now.Add(-time.Hour), UserMessages: 2, Images: messaging.CapabilityYes,
	}
}

func hi() messaging.Message { return messaging.Message{Text: "hi"} }

func card(kind messaging.CardKind, title string, buttons ...messaging.Button) messaging.Message {
	return messaging.Message{Card: &messaging.Card{Kind: kind, Title: title, Buttons: buttons}}
}

func TestContent(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	ok := messaging.Button{Label: "Yes", ID: "y"}
	png := messaging.Image{Format: messaging.PNG, Bytes: 100, Width: 1, Height: 1}
	big := func(n int) messaging.Message {
		return messaging.Message{Images: []messaging.Image{{Format: messaging.JPEG, Bytes: n}}}
	}
	for _, tt := range []struct {
		name            string
		m               messaging.Message
		strict, lenient string
	}{
		{"a text", hi(), sent, sent},
		{"nothing", messaging.Message{}, "message-empty", "message-empty"},
		{"only a quote", messaging.Message{QuotedMessageID: "1"}, "message-empty", "message-empty"},
		{"white space", messaging.Message{Text: " \n\t"}, "message-empty", asked},
		{"bytes", messaging.Message{Text: "a\xff"}, "text-invalid", "text-invalid"},
		{"6,000 characters", messaging.Message{Text: x(6000)}, sent, sent},
		{"6,001 characters", messaging.Message{Text: x(6001)}, "text-too-long", "text-too-long"},
		{"6,000 of two bytes", messaging.Message{Text: strings.Repeat("é", 6000)}, sent, sent},
		{"3,000 emoji", messaging.Message{Text: strings.Repeat("👋", 3000)}, sent, sent},
		{"3,001 emoji", messaging.Message{Text: strings.Repeat("👋", 3001)}, "text-too-long", asked},
		{"6,001 emoji", messaging.Message{Text: strings.Repeat("👋", 6001)}, "text-too-long", "text-too-long"},
		{"1,000 families", messaging.Message{Text: strings.Repeat("👨‍👩‍👧‍👦", 1000)}, "text-too-long", asked},
		{"6,001 families", messaging.Message{Text: strings.Repeat("👨‍👩‍👧‍👦", 6001)}, "text-too-long", "text-too-long"},
		{"4,000 flags", messaging.Message{Text: strings.Repeat("🇻🇳", 4000)}, "text-too-long", asked},
		{"4,000 accents", messaging.Message{Text: strings.Repeat("e\u0301", 4000)}, "text-too-long", asked},
		{"a quote", messaging.Message{Text: "hi", QuotedMessageID: "1"}, sent, sent},
		{"a quoting image", messaging.Message{ImageMediaID: "m", QuotedMessageID: "1"}, "quote-needs-text", "quote-needs-text"},
		{"text and image", messaging.Message{Text: "hi", ImageMediaID: "m"}, "message-mixed", "message-mixed"},
		{"two images", messaging.Message{Images: []messaging.Image{png, png}}, "message-mixed", "message-mixed"},
		{"an image twice", messaging.Message{Images: []messaging.Image{png}, ImageMediaID: "m"}, "message-mixed", "message-mixed"},
		{"post and card", messaging.Message{PostID: "1", Card: &messaging.Card{}}, "message-mixed", "message-mixed"},
		{"a post", messaging.Message{PostID: "1"}, sent, sent},
		{"an image", messaging.Message{Images: []messaging.Image{png}}, sent, sent},
		{"an image's id", messaging.Message{ImageMediaID: "m"}, sent, sent},
		{"an image of 3,000,000 bytes", big(3_000_000), sent, sent},
		{"of 3,000,001", big(3_000_001), "image-too-large", asked},
		{"of 3 MiB", big(3 << 20), "image-too-large", asked},
		{"of 3 MiB and 1", big(3<<20 + 1), "image-too-large", "image-too-large"},
		{"another format", messaging.Message{Images: []messaging.Image{{Format: "image/gif"}}}, "image-unsupported", "image-unsupported"},
		{"a card", card("buttons", x(40), messaging.Button{Label: x(20), ID: x(40)}, ok, ok), sent, sent},
		{"a card of links", card("links", x(40), messaging.Button{Label: x(40), ID: x(40)}), sent, sent},
		{"a card of nothing", card("buttons", "T"), "card-invalid", "card-invalid"},
		{"four buttons", card("buttons", "T", ok, ok, ok, ok), "card-invalid", "card-invalid"},
		{"another kind", card("", "T", ok), "card-invalid", "card-invalid"},
		{"no title", card("buttons", "", ok), "card-invalid", "card-invalid"},
		{"a long title", card("buttons", x(41), ok), "card-invalid", "card-invalid"},
		{"a title of emoji", card("buttons", strings.Repeat("👋", 40), ok), "card-invalid", asked},
		{"a title of bytes", card("buttons", "\xff", ok), "card-invalid", "card-invalid"},
		{"a title of nothing", card("buttons", " ", ok), "card-invalid", asked},
		{"a long label", card("buttons", "T", ok, messaging.Button{Label: x(21), ID: "y"}), "card-invalid", "card-invalid"},
		{"a long label of a link", card("links", "T", messaging.Button{Label: x(41), ID: "y"}), "card-invalid", "card-invalid"},
		{"no label", card("links", "T", messaging.Button{ID: "y"}), "card-invalid", "card-invalid"},
		{"no id", card("links", "T", messaging.Button{Label: "Y"}), "card-invalid", "card-invalid"},
		{"a long id", card("links", "T", messaging.Button{Label: "Y", ID: x(41)}), "card-invalid", "card-invalid"},
		{"what is certain after what is not", card("buttons", strings.Repeat("👋", 40), messaging.Button{Label: "Y"}), "card-invalid", "card-invalid"},
	} {
		check(t, tt.name, tt.m, open(), tt.strict, tt.lenient)
	}
}

func TestConversations(t *testing.T) {
	with := func(change func(*messaging.Conversation)) messaging.Conversation {
		c := open()
		change(&c)
		return c
	}
	late := func(age time.Duration, n int, follower bool) messaging.Conversation {
		return with(func(c *messaging.Conversation) {
			c.LastUserMessage, c.SentLate, c.SentSince, c.Follower = now.Add(-age), n, n, follower
		})
	}
	first := func(n int, more, follower bool) messaging.Conversation {
		return with(func(c *messaging.Conversation) {
			c.UserMessages, c.SentSince, c.MayHaveMore, c.Follower = 1, n, more, follower
		})
	}
	for _, tt := range []struct {
		name            string
		c               messaging.Conversation
		strict, lenient string
	}{
		{"open", open(), sent, sent},
		{"nothing known", messaging.Conversation{Images: messaging.CapabilityYes}, asked, asked},
		{"begun, no more known", messaging.Conversation{Begun: messaging.BegunByUser, Images: messaging.CapabilityYes}, asked, asked},
		{"begun by nobody", with(func(c *messaging.Conversation) { c.Begun = messaging.BegunByNobody }), "conversation-not-begun", "conversation-not-begun"},
		{"a moment before 48 hours", late(48*time.Hour-1, 0, false), sent, sent},
		{"48 hours", late(48*time.Hour, 0, false), "window-closed", asked},
		{"after it, two sent", late(50*time.Hour, 2, false), "window-closed", asked},
		{"after it, three sent", late(50*time.Hour, 3, false), "window-closed", "window-closed"},
		{"after it, three sent to a follower", late(500*time.Hour, 3, true), "window-closed", asked},
		{"the first message, nine sent", first(9, false, false), sent, sent},
		{"ten sent", first(10, false, false), "quota-used", "quota-used"},
		{"ten sent to a follower", first(10, false, true), "quota-used", asked},
		{"ten sent, older messages possible", first(10, true, false), asked, asked},
		{"after the second, ten sent", with(func(c *messaging.Conversation) { c.SentSince = 10 }), asked, asked},
		{"a clock that is behind", with(func(c *messaging.Conversation) { c.LastUserMessage = now.Add(time.Hour) }), sent, sent},
		{"suspended", with(func(c *messaging.Conversation) { c.Channel = messaging.ChannelSuspended }), "channel-suspended", "channel-suspended"},
		{"not authorized", with(func(c *messaging.Conversation) { c.Channel = messaging.ChannelNotAuthorized }), "channel-not-authorized", "channel-not-authorized"},
		{"no images, which is no matter", with(func(c *messaging.Conversation) { c.Images = messaging.CapabilityNo }), sent, sent},
	} {
		check(t, tt.name, hi(), tt.c, tt.strict, tt.lenient)
	}
	image := messaging.Message{ImageMediaID: "m"}
	for capability, want := range map[messaging.Capability]string{
		messaging.CapabilityYes: sent, messaging.CapabilityNo: "image-not-allowed", messaging.CapabilityUnknown: asked,
	} {
		check(t, "images "+string(capability), image, with(func(c *messaging.Conversation) { c.Images = capability }), want, want)
	}
}

// TestOrder: what no other message would change is told before the message, and the message before the conversation.
func TestOrder(t *testing.T) {
	c := messaging.Conversation{Channel: messaging.ChannelSuspended, Begun: messaging.BegunByNobody, Images: messaging.CapabilityNo}
	mixed := messaging.Message{Text: "a", ImageMediaID: "m"}
	check(t, "all at once", mixed, c, "channel-suspended", "channel-suspended")
	c.Channel = messaging.ChannelReady
	check(t, "the message", mixed, c, "message-mixed", "message-mixed")
	check(t, "the conversation", messaging.Message{ImageMediaID: "m"}, c, "conversation-not-begun", "conversation-not-begun")
}

func TestWindow(t *testing.T) {
	at := now.Add(-time.Hour)
	for name, tt := range map[string]struct {
		c    messaging.Conversation
		want messaging.Window
	}{
		"unknown": {messaging.Conversation{}, messaging.Window{}},
		"nobody":  {messaging.Conversation{Begun: messaging.BegunByNobody}, messaging.Window{Known: true}},
		"first": {
			messaging.Conversation{LastUserMessage: at, UserMessages: 1, SentSince: 4},
			messaging.Window{Known: true, Open: true, Until: at.Add(48 * time.Hour), Left: 6},
		},
		"first, all used": {
			messaging.Conversation{LastUserMessage: at, UserMessages: 1, SentSince: 14},
			messaging.Window{Known: true, Open: true, Until: at.Add(48 * time.Hour)},
		},
		"second": {
			messaging.Conversation{LastUserMessage: at, UserMessages: 2, SentSince: 4},
			messaging.Window{Known: true, Open: true, Until: at.Add(48 * time.Hour), Left: -1},
		},
		"closed": {
			messaging.Conversation{LastUserMessage: now.Add(-48 * time.Hour), UserMessages: 1, SentSince: 4, SentLate: 1},
			messaging.Window{Known: true, Until: now, Left: 2},
		},
	} {
		if got := tt.c.Window(now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range []*tiktok.Error{
		{Code: tiktok.CodeMessageBlocked, Class: tiktok.ClassPermanent}, {Code: tiktok.CodeUnsupportedFile, Class: tiktok.ClassPermanent},
		{Code: tiktok.CodeNotFound, Class: tiktok.ClassPermanent}, {Code: tiktok.CodeParameter, Class: tiktok.ClassPermanent},
		{Code: 40001, Class: tiktok.ClassScopeMissing}, {Code: 40100, Class: tiktok.ClassRateLimited}, {Code: 40101, Class: tiktok.ClassAppCredentials},
		{Code: 40105, Class: tiktok.ClassTokenRefused}, {Code: 49999, Class: tiktok.ClassPermanent}, {Class: tiktok.ClassTransient},
		{Class: tiktok.ClassTransient, NotSent: true},
	} {
		text := messaging.Explain(e)
		if !strings.HasSuffix(text, ".") || seen[text] {
			t.Errorf("%v: %q", e, text)
		}
		seen[text] = true
	}
	if messaging.Explain(nil) != "" {
		t.Error("nothing is explained")
	}
}

// FuzzText: a text of at most 6,000 units is sent, one that has more code points than that is refused by Strict, and Lenient refuses nothing
// that Strict lets pass.
func FuzzText(f *testing.F) {
	f.Add("hi", 1)
	f.Add("👨‍👩‍👧‍👦", 1000)
	f.Add("\r\n🇻🇳e\u0301\u200d", 2000)
	f.Add("\xff", 1)
	f.Fuzz(func(t *testing.T, part string, times int) {
		m := messaging.Message{Text: strings.Repeat(part, min(max(times, 1), 8000/max(len(part), 1)+1))}
		strict, lenient := messaging.Decide(messaging.Strict, m, open(), now), messaging.Decide(messaging.Lenient, m, open(), now)
		if strict.Allowed() && !lenient.Allowed() {
			t.Fatal("the lenient policy is the stricter one")
		}
		if n := utf8.RuneCountInString(m.Text); n > 6000 && strict.Allowed() || n <= 6000 && !lenient.Allowed() && utf8.ValidString(m.Text) && m.Text != "" {
			t.Fatalf("%d code points: strict %s, lenient %s", n, give(strict), give(lenient))
		}
	})
}
