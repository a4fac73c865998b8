package messaging_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// stage is a simulator behind HTTP, whose rules are written apart from this package's, and the client that talks to it.
type stage struct {
	*testing.T
	sim    *simulator.Simulator
	client *tiktok.Client
	token  tiktok.Secret
	clock  *clocktesting.FakeClock
}

const shop = "-000shop"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, clock: clocktesting.NewFakeClock(now)}
	s.sim = simulator.New(simulator.Options{Clock: s.clock, AccessTokenTTL: 10 * 365 * 24 * time.Hour})
	server := httptest.NewServer(s.sim)
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(func() { s.sim.Close(); server.Close(); hook.Close() })
	s.sim.SetWebhook("DIRECT_MESSAGE", hook.URL)
	s.token = tiktok.Secret(s.sim.IssueToken(shop).AccessToken)
	client, err := tiktok.NewClient(tiktok.Config{AppID: "sim-app", AppSecret: "sim-secret", APIEndpoint: server.URL + "/open_api/v1.3/"})
	if err != nil {
		t.Fatal(err)
	}
	s.client = client
	return s
}

// arranged is a conversation of the simulator, and what an operator that has seen everything knows of it.
type arranged struct {
	id, userMessage string
	known           messaging.Conversation
}

// arrangement brings a conversation about.
type arrangement struct {
	userMessages int
	sent         int           // after the user's last message
	wait         time.Duration // after that
	late         int           // sent after the wait
}

func (s *stage) arrange(user string, a arrangement, images bool) arranged {
	s.Helper()
	out := arranged{known: messaging.Conversation{Begun: messaging.BegunByUser, Images: messaging.CapabilityYes}}
	event := simulator.Event{Business: shop, User: user}
	if a.userMessages == 0 {
		event.Event, out.known.Begun = "im_send_msg", messaging.BegunByNobody // a colleague's, which begins nothing
	}
	for range max(a.userMessages, 1) {
		d, err := s.sim.SendEvent(s.Context(), event)
		if err != nil {
			s.Fatal(err)
		}
		out.id, out.userMessage = d.ConversationID, d.MessageID
	}
	if a.userMessages > 0 {
		out.known.LastUserMessage, out.known.UserMessages = s.clock.Now(), a.userMessages
	}
	for i := range a.sent + a.late {
		if i == a.sent {
			s.clock.Step(a.wait)
		}
		if _, err := s.client.SendMessage(s.Context(), s.token, shop, out.id, tiktok.OutgoingMessage{Text: "earlier"}); err != nil {
			s.Fatalf("%s, message %d: %v", user, i+1, err)
		}
	}
	if a.late == 0 {
		s.clock.Step(a.wait)
	}
	out.known.SentSince, out.known.SentLate = a.sent+a.late, a.late
	if !images {
		out.known.Images = messaging.CapabilityNo
		s.sim.AllowImages(shop, out.id, false)
	}
	return out
}

// item is a message as this package sees it and as TikTok gets it; file is uploaded first.
type item struct {
	message messaging.Message
	file    []byte
	// refused by InspectImage, whatever the policy.
	refused *messaging.Refusal
}

func text(body string) item { return item{message: messaging.Message{Text: body}} }

func file(data []byte) item {
	image, refused := messaging.InspectImage(data)
	return item{message: messaging.Message{Images: []messaging.Image{image}}, file: data, refused: refused}
}

// contents are all kinds of messages, those that break a rule included. Files that are hostile are not among them: what is broken on purpose
// this operator refuses for itself, and not in TikTok's place.
func contents(t *testing.T) map[string]item {
	padded := func(n int) []byte { // a PNG of that size
		p := pngFile(t)
		kind := append([]byte("paDd"), make([]byte, n-len(p)-12)...)
		return join(p[:33], chunk(kind), p[33:])
	}
	button := func(kind messaging.CardKind, title, label, id int, n int) item {
		m := card(kind, strings.Repeat("t", title))
		for range n {
			m.Card.Buttons = append(m.Card.Buttons, messaging.Button{Label: strings.Repeat("l", label), ID: strings.Repeat("i", id)})
		}
		return item{message: m}
	}
	mixed := file(pngFile(t))
	mixed.message.Text = "both"
	quotingImage := file(pngFile(t))
	quotingImage.message.QuotedMessageID = "?"
	return map[string]item{
		"text": text("hi"), "nothing": text(""), "6,000": text(strings.Repeat("é", 6000)), "6,001": text(strings.Repeat("é", 6001)),
		"3,001 emoji": text(strings.Repeat("👋", 3001)), "6,001 emoji": text(strings.Repeat("👋", 6001)), "1,000 families": text(strings.Repeat("👨‍👩‍👧‍👦", 1000)),
		"white space": text(" "), "quote": {message: messaging.Message{Text: "hi", QuotedMessageID: "?"}}, "text and image": mixed,
		"quoting image": quotingImage, "post": {message: messaging.Message{PostID: "7300000000000000001"}},
		"PNG": file(pngFile(t)), "JPEG": file(jpegFile(t)), "GIF": file([]byte("GIF89a\x01\x00")), "no file": file(nil),
		"3,000,001 bytes": file(padded(3_000_001)), "3 MiB": file(padded(3 << 20)), "more than 3 MiB": file(padded(3<<20 + 1)),
		"card": button("buttons", 40, 20, 40, 3), "links": button("links", 40, 40, 40, 1), "long title": button("links", 41, 1, 1, 1),
		"long label": button("buttons", 1, 21, 1, 1), "long link": button("links", 1, 41, 1, 1), "long id": button("links", 1, 1, 41, 1),
		"no buttons": button("links", 1, 1, 1, 0), "four buttons": button("buttons", 1, 1, 1, 4), "no id": button("buttons", 1, 1, 0, 1),
	}
}

func arrangements() map[string]arrangement {
	const window = 48 * time.Hour
	return map[string]arrangement{
		"not begun": {}, "first": {userMessages: 1}, "first, 9 sent": {userMessages: 1, sent: 9}, "first, 10 sent": {userMessages: 1, sent: 10},
		"second": {userMessages: 2}, "second, 11 sent": {userMessages: 2, sent: 11}, "nearly closed": {userMessages: 1, wait: window - time.Second},
		"closed": {userMessages: 1, wait: window}, "closed, 10 sent": {userMessages: 1, sent: 10, wait: window},
		"closed, 2 late": {userMessages: 2, sent: 1, wait: window, late: 2}, "closed, 3 late": {userMessages: 2, wait: window, late: 3},
	}
}

// send gives the message to TikTok without asking this package.
func (s *stage) send(c arranged, i item) error {
	m := tiktok.OutgoingMessage{Text: i.message.Text, PostID: i.message.PostID, QuotedMessageID: i.message.QuotedMessageID}
	if len(i.message.Images) > 0 {
		kind := tiktok.ImagePNG
		if i.message.Images[0].Format == messaging.JPEG {
			kind = tiktok.ImageJPEG
		}
		id, err := s.client.UploadImage(s.Context(), s.token, shop, kind, i.file)
		if err != nil {
			return err
		}
		m.ImageMediaID = id
	}
	if in := i.message.Card; in != nil {
		m.Card = &tiktok.Card{Type: tiktok.CardButtons, Title: in.Title}
		if in.Kind == messaging.CardLinks {
			m.Card.Type = tiktok.CardLinks
		}
		for _, b := range in.Buttons {
			m.Card.Buttons = append(m.Card.Buttons, tiktok.CardButton{Title: b.Label, ID: b.ID})
		}
	}
	_, err := s.client.SendMessage(s.Context(), s.token, shop, c.id, m)
	return err
}

// ofConversation are the reasons that TikTok gives one code for; the others it has several for.
var ofConversation = []messaging.Reason{
	messaging.ReasonNotBegun, messaging.ReasonWindowClosed, messaging.ReasonQuotaUsed, messaging.ReasonImageNotAllowed,
}

// TestMatrix compares the rules with what the simulator decides over HTTP, for every message in every conversation. Lenient refuses nothing that
// the simulator takes; what Strict lets pass without a doubt, the simulator takes; a refusal has a reason, and one that fits the code.
func TestMatrix(t *testing.T) {
	s := newStage(t)
	allContents, refusals, n := contents(t), map[messaging.Reason]int{}, 0
	for state, a := range arrangements() {
		for content, i := range allContents {
			for _, images := range []bool{true, false} {
				if !images && len(i.message.Images) == 0 {
					continue // which makes no difference
				}
				if len(i.file) > 1<<20 && (!images || strings.Contains(state, ", ")) {
					continue // which takes long, and adds nothing to what smaller images show
				}
				n++
				name := fmt.Sprintf("%s into %q, images %t", content, state, images)
				c := s.arrange(fmt.Sprintf("user-%d", n), a, images)
				if i.message.QuotedMessageID != "" {
					i.message.QuotedMessageID = c.userMessage
				}
				at := s.clock.Now()
				err := s.send(c, i)
				strict, lenient := decide(messaging.Strict, i, c.known, at), decide(messaging.Lenient, i, c.known, at)
				blind := decide(messaging.Strict, i, messaging.Conversation{}, at)
				switch {
				case err == nil && !lenient.Allowed():
					t.Errorf("%s: lenient refuses it (%s), and it was sent", name, lenient.Refusal.Reason)
				case err == nil && !blind.Allowed() && strict.Allowed():
					t.Errorf("%s: refused (%s) for what is not known", name, blind.Refusal.Reason)
				case err != nil && strict.Allowed():
					t.Errorf("%s: strict lets it pass, and TikTok refuses it: %v", name, err)
				}
				for _, v := range []messaging.Verdict{strict, lenient} {
					if v.Allowed() {
						continue
					}
					checkSentence(t, v.Refusal)
					refusals[v.Refusal.Reason]++
					// Where only the conversation is at fault, or the message certainly is, it is known which of them TikTok names.
					elsewhere := give(decide(messaging.Lenient, i, open(), now))
					var e *tiktok.Error
					if !errors.As(err, &e) || elsewhere == asked {
						continue
					}
					blocked := e.Code == tiktok.CodeMessageBlocked
					if blocked != (elsewhere == sent) || blocked != slices.Contains(ofConversation, v.Refusal.Reason) {
						t.Errorf("%s: refused for %s, and TikTok says %v", name, v.Refusal.Reason, e)
					}
				}
				if strict.Allowed() && !lenient.Allowed() {
					t.Errorf("%s: the lenient policy is the stricter one", name)
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d combinations", n)
	}
	ours := []messaging.Reason{ // no matter of TikTok's, or not to be had over this client
		messaging.ReasonChannelSuspended, messaging.ReasonChannelNotAuthorized, messaging.ReasonTextInvalid, messaging.ReasonImageDamaged,
	}
	for _, reason := range messaging.Reasons() {
		if refusals[reason] == 0 && !slices.Contains(ours, reason) {
			t.Errorf("nothing was refused for %s", reason)
		}
	}
}

func decide(policy messaging.Policy, i item, c messaging.Conversation, at time.Time) messaging.Verdict {
	if i.refused != nil && i.message.Text == "" && i.message.QuotedMessageID == "" {
		return messaging.Verdict{Refusal: i.refused}
	}
	return messaging.Decide(policy, i.message, c, at)
}
