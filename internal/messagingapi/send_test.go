package messagingapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func TestSend(t *testing.T) {
	s := serve(t, messaging.Lenient)
	key := map[string]string{messagingapi.KeyHeader: "order 66"}
	r := s.send(`{"text":"Your parcel is on its way <3"}`, key)
	m := r.message(t)
	if m.ID == "" || m.SendID == "" || m.IdempotencyKey != "order 66" || m.Data.Text == nil || *m.Data.Text != "Your parcel is on its way <3" ||
		m.Data.Direction != cloudevent.Outbound || m.Data.ConversationID != s.Conversation || !m.Status.Supersedes(cloudevent.StatusAccepted) {
		t.Errorf("got %s", r.body)
	}
	again := s.send(`{"text":"Your parcel is on its way <3"}`, key)
	if got := again.message(t); got.ID != m.ID || again.header.Get(messagingapi.ReplayedHeader) != "true" {
		t.Errorf("repeated: %v %s", again.header, again.body)
	}
	if name, _ := s.send(`{"text":"something else"}`, key).problem(t); name != "idempotency-key-reused" {
		t.Errorf("another message under the key: %q", name)
	}
	s.WantArrived(1)
	for _, body := range []string{
		`{"post":{"id":"7300000000000000001"}}`,
		`{"card":{"kind":"buttons","title":"Size?","buttons":[{"label":"S","id":"s"},{"label":"M","id":"m"}]}}`,
		fmt.Sprintf(`{"text":"that one","replyTo":%q}`, m.ID),
	} {
		s.send(body, nil).message(t)
	}
	s.WantArrived(4)
}

// What becomes of a message is told in the trace of the request that sends it.
// What TikTok answered is stored behind the answer; who reads what it has just sent is not told that it is not there, nor that it is there twice.
func TestWhatIsSentCanBeReadAtOnce(t *testing.T) {
	s := serve(t, messaging.Lenient)
	for i := range 9 {
		sent := s.send(`{"text":"one more"}`, nil).message(t)
		messages := s.conversationURL(s.Conversation) + "/messages"
		if got := s.do(http.MethodGet, messages+"/"+sent.ID, "", nil, nil); got.status != http.StatusOK {
			t.Fatalf("message %d: %d %s", i, got.status, got.body)
		}
		var list messagingapi.MessageList
		got := s.do(http.MethodGet, messages, "", nil, nil)
		if err := json.Unmarshal(got.body, &list); err != nil || len(list.Items) != 2+i+1 {
			t.Fatalf("after message %d there are %d: %v", i, len(list.Items), err)
		}
	}
}

func TestStatusesAreInTheTraceOfTheRequest(t *testing.T) {
	s := serve(t, messaging.Lenient)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	m := s.send(`{"text":"in a trace"}`, map[string]string{"Traceparent": "00-" + trace + "-b7ad6b7169203331-01", "Tracestate": "shop=7"}).message(t)
	s.Eventually("the status sent", func() bool { return slices.Contains(s.Statuses(m.SendID), cloudevent.StatusSent) })
	stored, _, err := s.Log.Events(t.Context(), eventlog.Query{ChannelUID: outboundtest.UID, Limit: 100, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range stored {
		// That it was delivered comes with a webhook of TikTok's, in a trace of its own.
		if e.Event == cloudevent.TypeMessageStatus && !bytes.Contains(e.Body, []byte(`"status":"delivered"`)) {
			told++
			if e.Trace.TraceID() != trace || e.Trace.State() != "shop=7" {
				t.Errorf("%s is told in %q, %q", e.Body, e.Trace.Parent(), e.Trace.State())
			}
		}
	}
	if told != 2 {
		t.Errorf("%d statuses are told, want accepted and sent", told)
	}
}

func TestSendImage(t *testing.T) {
	s := serve(t, messaging.Lenient)
	png := string(outboundtest.OnePixel(t))
	address := s.conversationURL(s.Conversation) + "/messages"
	kind, body := form(t, [2]string{"image", png})
	if m := s.do(http.MethodPost, address, kind, body, nil).message(t); m.Data.Kind != "image" {
		t.Errorf("got %+v", m)
	}
	for want, parts := range map[string][][2]string{
		"message-mixed":     {{"image", png}, {"text", "both"}},
		"image-unsupported": {{"image", "GIF89a\x01\x00"}},
		"image-damaged":     {{"image", png + "PK\x03\x04"}},
		"invalid-request":   {{"picture", png}},
	} {
		kind, body := form(t, parts...)
		if name, _ := s.do(http.MethodPost, address, kind, body, nil).problem(t); name != want {
			t.Errorf("%s: got %q", want, name)
		}
	}
	kind, body = form(t, [2]string{"image", png}, [2]string{"image", png})
	if name, _ := s.do(http.MethodPost, address, kind, body, nil).problem(t); name != "message-mixed" {
		t.Errorf("two images: %q", name)
	}
	kind, body = form(t, [2]string{"image", png + strings.Repeat("x", 4<<20)})
	if name, _ := s.do(http.MethodPost, address, kind, body, nil).problem(t); name != "request-too-large" {
		t.Errorf("4 MiB: %q", name)
	}
	kind, body = form(t, [2]string{"image", png})
	if name, _ := s.do(http.MethodPost, address, kind, body[:len(body)-20], nil).problem(t); name != "invalid-request" {
		t.Errorf("a form that breaks off: %q", name)
	}
	s.WantArrived(1)
}

func TestRefusedRequests(t *testing.T) {
	s := serve(t, messaging.Lenient)
	for name, tc := range map[string]struct {
		body   string
		header map[string]string
		want   string
	}{
		"not JSON":         {body: `text=hi`, want: "invalid-request"},
		"no object":        {body: `["hi"]`, want: "invalid-request"},
		"unknown field":    {body: `{"txt":"hi"}`, want: "invalid-request"},
		"wrong type":       {body: `{"text":1}`, want: "invalid-request"},
		"two objects":      {body: `{"text":"hi"}{"text":"ho"}`, want: "invalid-request"},
		"no media id":      {body: `{"image":{}}`, want: "invalid-request"},
		"no post id":       {body: `{"post":{}}`, want: "invalid-request"},
		"nothing":          {body: `{}`, want: "message-empty"},
		"mixed":            {body: `{"text":"hi","post":{"id":"1"}}`, want: "message-mixed"},
		"a quoted post":    {body: `{"post":{"id":"1"},"replyTo":"2"}`, want: "quote-needs-text"},
		"too long":         {body: `{"text":"` + strings.Repeat("x", 6001) + `"}`, want: "text-too-long"},
		"far too long":     {body: `{"text":"` + strings.Repeat("x", 300_000) + `"}`, want: "request-too-large"},
		"bad card":         {body: `{"card":{"kind":"poster","title":"x"}}`, want: "card-invalid"},
		"other type":       {body: `{"text":"hi"}`, header: map[string]string{"Content-Type": "text/plain"}, want: "unsupported-media-type"},
		"long key":         {body: `{"text":"hi"}`, header: map[string]string{messagingapi.KeyHeader: strings.Repeat("k", 256)}, want: "invalid-request"},
		"key not of ASCII": {body: `{"text":"hi"}`, header: map[string]string{messagingapi.KeyHeader: "schlüssel"}, want: "invalid-request"},
	} {
		if got, detail := s.send(tc.body, tc.header).problem(t); got != tc.want || len(detail) > 500 {
			t.Errorf("%s: %q (%s), want %q", name, got, detail, tc.want)
		}
	}
	if got := s.Sim.CountCalls(""); got != 0 {
		t.Errorf("TikTok was called %d times", got)
	}
	for address, want := range map[string]string{
		s.conversationURL(strings.Repeat("x", 513)):                           "not-found",
		strings.Replace(s.conversationURL(s.Conversation), "main", "none", 1): "not-found",
	} {
		if got, _ := s.do(http.MethodPost, address+"/messages", "application/json", []byte(`{"text":"hi"}`), nil).problem(t); got != want {
			t.Errorf("%.100s: %q, want %q", address, got, want)
		}
	}
}

// TestTikTokRefusesASend: its code, its words and ours reach the caller, and no token does.
func TestTikTokRefusesASend(t *testing.T) {
	s := serve(t, messaging.Lenient)
	s.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, Code: 40064, Message: "You are sending messages too fast. Take a rest."})
	r := s.send(`{"text":"hi"}`, nil)
	name, detail := r.problem(t)
	var members struct {
		Status, Code int
		RequestID    string
	}
	if err := json.Unmarshal(r.body, &members); err != nil {
		t.Fatal(err)
	}
	if name != "refused-by-tiktok" || !strings.Contains(detail, "Take a rest.") || members.Code != 40064 || members.Status != 422 || members.RequestID == "" {
		t.Errorf("got %s", r.body)
	}
	s.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, Code: 40100})
	r = s.send(`{"text":"hi"}`, nil)
	if name, _ := r.problem(t); name != "too-many-requests" || r.header.Get("Retry-After") == "" {
		t.Errorf("throttled: %d %v %s", r.status, r.header, r.body)
	}
}

func TestOutcomeIsUnknown(t *testing.T) {
	s := serve(t, messaging.Lenient)
	s.Sim.SetWebhook("DIRECT_MESSAGE", "")
	s.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, CloseAfterProcessing: true})
	s.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.ListPath, Times: 1, Status: http.StatusBadGateway})
	r := s.send(`{"text":"hi"}`, map[string]string{messagingapi.KeyHeader: "k"})
	if name, _ := r.problem(t); name != "outcome-unknown" || r.status != http.StatusGatewayTimeout || r.header.Get("Retry-After") == "" ||
		!strings.Contains(string(r.body), `"sendID":"snd_`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	s.send(`{"text":"hi"}`, map[string]string{messagingapi.KeyHeader: "k"}).message(t)
	s.WantArrived(1)
}

func TestTypingAndRead(t *testing.T) {
	s := serve(t, messaging.Lenient)
	for _, what := range []string{"/typing", "/read"} {
		if r := s.do(http.MethodPost, s.conversationURL(s.Conversation)+what, "", nil, nil); r.status != http.StatusNoContent || len(r.body) != 0 {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	if c := s.Sim.Conversations(outboundtest.Shop)[0]; !c.Typing || c.ReadByBusiness.IsZero() {
		t.Errorf("the user sees %+v", c)
	}
	if name, _ := s.do(http.MethodPost, s.conversationURL("no-such")+"/typing", "", nil, nil).problem(t); name != "refused-by-tiktok" {
		t.Errorf("no such conversation: %q", name)
	}
}
