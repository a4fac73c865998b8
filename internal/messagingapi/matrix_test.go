package messagingapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// sample is a message as the API takes it, and as TikTok does.
type sample struct {
	body  string
	image string
	raw   tiktok.OutgoingMessage
}

func samples(t *testing.T) map[string]sample {
	text := func(body string) sample {
		quoted, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return sample{body: fmt.Sprintf(`{"text":%s}`, quoted), raw: tiktok.OutgoingMessage{Text: body}}
	}
	card := func(kind string, of tiktok.CardType, title, label, buttons int) sample {
		s := sample{raw: tiktok.OutgoingMessage{Card: &tiktok.Card{Type: of, Title: strings.Repeat("t", title)}}}
		var all []map[string]string
		for range buttons {
			s.raw.Card.Buttons = append(s.raw.Card.Buttons, tiktok.CardButton{Title: strings.Repeat("l", label), ID: "i"})
			all = append(all, map[string]string{"label": strings.Repeat("l", label), "id": "i"})
		}
		body, err := json.Marshal(map[string]any{"card": map[string]any{"kind": kind, "title": s.raw.Card.Title, "buttons": all}})
		if err != nil {
			t.Fatal(err)
		}
		s.body = string(body)
		return s
	}
	return map[string]sample{
		"text": text("hi"), "6,000": text(strings.Repeat("é", 6000)), "6,001": text(strings.Repeat("é", 6001)), "space": text(" "),
		"3,001 emoji": text(strings.Repeat("👋", 3001)), "post": {body: `{"post":{"id":"73"}}`, raw: tiktok.OutgoingMessage{PostID: "73"}},
		"card": card("buttons", tiktok.CardButtons, 40, 20, 3), "links": card("links", tiktok.CardLinks, 40, 40, 1),
		"long card": card("buttons", tiktok.CardButtons, 40, 21, 1), "crowded card": card("links", tiktok.CardLinks, 1, 1, 4),
		"image": {image: string(outboundtest.OnePixel(t))},
	}
}

// state brings a conversation about; the user's name makes it another one.
type state struct {
	userMessages, sent int
	wait               time.Duration
	late               int
	noImages           bool
}

const window = 48 * time.Hour

func states() map[string]state {
	return map[string]state{
		"not begun": {}, "first": {userMessages: 1}, "first, 10 sent": {userMessages: 1, sent: 10}, "second, 11 sent": {userMessages: 2, sent: 11},
		"nearly closed": {userMessages: 1, wait: window - time.Minute}, "closed": {userMessages: 1, wait: window + time.Minute},
		"closed, 3 late": {userMessages: 2, wait: window + time.Minute, late: 3}, "no images": {userMessages: 1, noImages: true},
	}
}

// TestMatrix sends every message into every conversation through the API, and the same into a twin of the conversation without it. Lenient, the
// API sends what TikTok (as the simulator models it) takes, and nothing else; strict, it may refuse more, where TikTok's rules are doubtful.
// Each refusal has a name.
func TestMatrix(t *testing.T) {
	b := outboundtest.New(t)
	policies := map[messaging.Policy]*served{}
	for _, policy := range []messaging.Policy{messaging.Lenient, messaging.Strict} {
		policies[policy] = &served{Bench: b, url: serveOn(b, policy)}
	}
	raw, err := tiktok.NewClient(tiktok.Config{AppID: "sim-app", AppSecret: "sim-secret", APIEndpoint: b.API, Clock: b.Clock})
	if err != nil {
		t.Fatal(err)
	}
	n, refused := 0, map[string]int{}
	for stateName, st := range states() {
		for sampleName, sm := range samples(t) {
			if st.noImages && sm.image == "" {
				continue // which makes no difference
			}
			users := map[string]string{}
			for _, who := range []string{"twin", string(messaging.Lenient), string(messaging.Strict)} {
				n++
				users[who] = arrange(b, raw, fmt.Sprintf("user-%d", n), st)
			}
			b.Clock.Step(st.wait)
			b.SetToken(b.Sim.IssueToken(outboundtest.Shop).AccessToken) // days may have passed
			token := tiktok.Secret(b.Sim.IssueToken(outboundtest.Shop).AccessToken)
			for _, conversation := range users {
				for range st.late {
					if _, err := raw.SendMessage(t.Context(), token, outboundtest.Shop, conversation, tiktok.OutgoingMessage{Text: "late"}); err != nil {
						t.Fatal(err)
					}
				}
			}
			takes := give(t, raw, token, users["twin"], sm) == nil
			for policy, s := range policies {
				r := post(s, users[string(policy)], sm)
				name, _ := r.problem(t)
				what := fmt.Sprintf("%s into %q, %s: %d %s", sampleName, stateName, policy, r.status, name)
				switch sent := r.status == http.StatusCreated; {
				case sent && !takes:
					t.Errorf("%s: TikTok refuses it", what)
				case !sent && takes && policy == messaging.Lenient:
					t.Errorf("%s: TikTok takes it", what)
				case !sent && takes && !slices.Contains([]string{"window-closed", "text-too-long", "message-empty"}, name):
					t.Errorf("%s: TikTok takes it, and there is no doubt that it does", what)
				case !sent && r.status != http.StatusUnprocessableEntity:
					t.Errorf("%s: %s", what, r.body)
				}
				refused[name]++
			}
		}
	}
	for _, name := range []string{"text-too-long", "card-invalid", "image-not-allowed", "window-closed", "refused-by-tiktok", "message-empty"} {
		if refused[name] == 0 {
			t.Errorf("nothing was refused for %s: %v", name, refused)
		}
	}
	t.Logf("%d conversations: %v", n, refused)
}

// arrange lets a user and the business write.
func arrange(b *outboundtest.Bench, raw *tiktok.Client, user string, st state) (conversation string) {
	b.Helper()
	e := simulator.Event{Business: outboundtest.Shop, User: user}
	if st.userMessages == 0 {
		e.Event = "im_send_msg" // a colleague's, which begins nothing
	}
	for range max(st.userMessages, 1) {
		d, err := b.Sim.SendEvent(b.Context(), e)
		if err != nil {
			b.Fatal(err)
		}
		conversation = d.ConversationID
	}
	token := tiktok.Secret(b.Sim.IssueToken(outboundtest.Shop).AccessToken)
	for range st.sent {
		if _, err := raw.SendMessage(b.Context(), token, outboundtest.Shop, conversation, tiktok.OutgoingMessage{Text: "earlier"}); err != nil {
			b.Fatal(err)
		}
	}
	if st.noImages {
		b.Sim.AllowImages(outboundtest.Shop, conversation, false)
	}
	return conversation
}

// give sends a message past the API.
func give(t *testing.T, raw *tiktok.Client, token tiktok.Secret, conversation string, sm sample) error {
	m := sm.raw
	if sm.image != "" {
		id, err := raw.UploadImage(t.Context(), token, outboundtest.Shop, tiktok.ImagePNG, []byte(sm.image))
		if err != nil {
			return err
		}
		m.ImageMediaID = id
	}
	_, err := raw.SendMessage(t.Context(), token, outboundtest.Shop, conversation, m)
	return err
}

func post(s *served, conversation string, sm sample) reply {
	s.Helper()
	kind, body := "application/json", []byte(sm.body)
	if sm.image != "" {
		kind, body = form(s.TB, [2]string{"image", sm.image})
	}
	return s.do(http.MethodPost, s.conversationURL(conversation)+"/messages", kind, body, nil)
}
