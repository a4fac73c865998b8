package simulator_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// received is a webhook as it arrived.
type received struct {
	t, s, body string
}

func (r received) signedWith(secret string) bool {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(r.t + "." + r.body))
	return hex.EncodeToString(m.Sum(nil)) == r.s
}

func (r received) at() time.Time {
	seconds, _ := strconv.ParseInt(r.t, 10, 64)
	return time.Unix(seconds, 0)
}

// receiver is a callback that answers what the test says.
type receiver struct {
	mu     sync.Mutex
	status int
	got    []received
}

func newReceiver(b *bench, status int, eventTypes ...string) *receiver {
	b.Helper()
	r := &receiver{status: status}
	server := httptest.NewServer(r)
	b.Cleanup(server.Close)
	for _, eventType := range eventTypes {
		b.register(eventType, server.URL+"/webhooks/"+eventType)
	}
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	got := received{body: string(body)}
	for _, part := range strings.Split(req.Header.Get("Tiktok-Signature"), ",") {
		if name, value, _ := strings.Cut(part, "="); name == "t" {
			got.t = value
		} else if name == "s" {
			got.s = value
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
		got.body = "not a POST of JSON"
	}
	r.got = append(r.got, got)
	if r.status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

func (b *bench) send(e simulator.Event) simulator.Delivery {
	b.Helper()
	d, err := b.sim.SendEvent(b.Context(), e)
	if err != nil {
		b.Fatalf("sending %+v: %v", e, err)
	}
	return d
}

func contentOf(t *testing.T, r received) (envelope, content map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &envelope); err != nil {
		t.Fatalf("envelope %s: %v", r.body, err)
	}
	text, ok := envelope["content"].(string)
	if !ok {
		t.Fatalf("the content is no string: %s", r.body)
	}
	if err := json.Unmarshal([]byte(text), &content); err != nil {
		t.Fatalf("content %s: %v", text, err)
	}
	return envelope, content
}

func TestSendEvent(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	d := b.send(simulator.Event{User: "bob", Text: `say "hello" 👋`})
	if d.Status != 200 || d.Attempts != 1 || d.MessageID == "" || !d.Time.Equal(begin) || d.Business != business {
		t.Errorf("delivery %+v", d)
	}
	for _, c := range "+/=" {
		if !strings.ContainsRune(d.ConversationID, c) {
			t.Errorf("conversation id %q lacks %q: it needs no escaping", d.ConversationID, c)
		}
	}
	got := rcv.all()
	if len(got) != 1 || !got[0].signedWith(appSecret) || !got[0].at().Equal(begin) {
		t.Fatalf("received %+v", got)
	}
	envelope, content := contentOf(t, got[0])
	if envelope["client_key"] != appID || envelope["event"] != "im_receive_msg" || envelope["user_openid"] != business ||
		envelope["create_time"] != float64(begin.Unix()) || len(envelope) != 5 {
		t.Errorf("envelope %v", envelope)
	}
	to, _ := content["to_user"].(map[string]any)
	from, _ := content["from_user"].(map[string]any)
	text, _ := content["text"].(map[string]any)
	if to["id"] != business || to["role"] != "business_account" || from["role"] != "personal_account" || content["from"] != "bob" ||
		content["to"] != "acme" || text["body"] != `say "hello" 👋` || content["type"] != "text" || content["message_id"] != d.MessageID ||
		content["conversation_id"] != d.ConversationID || content["timestamp"] != float64(begin.UnixMilli()) {
		t.Errorf("content %v", content)
	}
	again := b.send(simulator.Event{User: "bob"})
	if again.ConversationID != d.ConversationID || again.MessageID == d.MessageID {
		t.Errorf("second message %+v: want the same conversation and a new id", again)
	}
	if other := b.send(simulator.Event{User: "eve"}); other.ConversationID == d.ConversationID {
		t.Error("two users share a conversation")
	}
}

func TestMadeUpEvents(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE", "COMMENT", "BRAND_MENTION", "VIDEO")
	last := func(e simulator.Event) map[string]any {
		b.send(e)
		got := rcv.all()
		envelope, content := contentOf(t, got[len(got)-1])
		if envelope["event"] != e.Event {
			t.Errorf("event %v, want %s", envelope["event"], e.Event)
		}
		return content
	}
	content := last(simulator.Event{Event: "im_send_msg", MessageID: "m1", Conversation: "c1"})
	from, _ := content["from_user"].(map[string]any)
	tag, _ := content["message_tag"].(map[string]any)
	if from["id"] != business || tag["source"] != "APP" || content["message_id"] != "m1" || content["conversation_id"] != "c1" {
		t.Errorf("im_send_msg: %v", content)
	}
	content = last(simulator.Event{Event: "im_mark_read_msg"})
	read, _ := content["read"].(map[string]any)
	if read["last_read_timestamp"] != float64(begin.UnixMilli()) || content["message_id"] != nil {
		t.Errorf("im_mark_read_msg: %v", content)
	}
	content = last(simulator.Event{Event: "im_receive_msg_eu"})
	if len(content) != 3 || content["to"] != "acme" || content["to_user"] == nil || content["timestamp"] == nil {
		t.Errorf("im_receive_msg_eu: %v", content)
	}
	if content = last(simulator.Event{Event: "authorization.removed"}); len(content) != 1 || content["reason"] != 1.0 {
		t.Errorf("authorization.removed: %v", content)
	}
	content = last(simulator.Event{Event: "comment.update", Content: json.RawMessage(`{"comment_id":7300000000000000001,"message_id":5}`)})
	if len(content) != 2 {
		t.Errorf("comment.update: %v", content)
	}
	if got := rcv.all(); !strings.Contains(got[len(got)-1].body, `7300000000000000001`) {
		t.Error("a 64-bit number lost its digits")
	}
	last(simulator.Event{Event: "brand.mention.event", Content: json.RawMessage(` {}`)})
	last(simulator.Event{Event: "post.publish.complete", Content: json.RawMessage(`{}`)})
	d := b.send(simulator.Event{Content: json.RawMessage(`{"message_id":"m9","conversation_id":"c9"}`)})
	if d.MessageID != "m9" || d.ConversationID != "c9" {
		t.Errorf("delivery %+v does not tell the ids of the content", d)
	}
}

func TestSendEventRefusals(t *testing.T) {
	b := newBench(t)
	if _, err := b.sim.SendEvent(t.Context(), simulator.Event{}); !errors.Is(err, simulator.ErrNoWebhook) {
		t.Errorf("error %v, want ErrNoWebhook", err)
	}
	newReceiver(b, 200, "DIRECT_MESSAGE")
	for says, e := range map[string]simulator.Event{
		"there is no business":      {Business: "x"},
		"content is required":       {Event: "im_referral_msg"},
		"content must be a JSON":    {Content: json.RawMessage(`"text"`)},
		"signature":                 {Signature: "none"},
		"no webhook is registered":  {Event: "comment.update", Content: json.RawMessage(`{}`)},
		"no webhook is registered ": {Event: "video.publish.completed", Content: json.RawMessage(`{}`)},
	} {
		if _, err := b.sim.SendEvent(t.Context(), e); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(says)) {
			t.Errorf("%+v: error %v, want %q", e, err, says)
		}
	}
}

func TestSignatures(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 401, "DIRECT_MESSAGE")
	b.send(simulator.Event{Signature: "wrong"})
	b.send(simulator.Event{Signature: "missing"})
	b.send(simulator.Event{Signature: "old"})
	got := rcv.all()
	if got[0].signedWith(appSecret) || got[0].s == "" {
		t.Error("wrong: the signature is valid or missing")
	}
	if got[1].s != "" || got[1].t != "" {
		t.Error("missing: there is a signature")
	}
	if !got[2].signedWith(appSecret) || begin.Sub(got[2].at()) <= 72*time.Hour {
		t.Errorf("old: signed at %s", got[2].at())
	}
	if b.clock.HasWaiters() {
		t.Error("a forged webhook is sent again")
	}
}

func TestRetries(t *testing.T) {
	b := newBench(t, func(o *simulator.Options) { o.RetryBase = 10 * time.Second })
	rcv := newReceiver(b, 500, "DIRECT_MESSAGE")
	if d := b.send(simulator.Event{}); d.Status != 500 || d.Attempts != 1 {
		t.Errorf("first attempt %+v", d)
	}
	next := func(after time.Duration, attempts int) {
		t.Helper()
		b.eventually("the retry waits", b.clock.HasWaiters)
		b.clock.Step(after - time.Nanosecond)
		if n := len(rcv.all()); n != attempts-1 {
			t.Fatalf("%d attempts before %s have passed", n, after)
		}
		b.clock.Step(time.Nanosecond)
		b.eventually("the attempt is made", func() bool { return len(b.sim.Deliveries()) == attempts })
	}
	rcv.answer(http.StatusAccepted) // 2xx is not 200
	next(10*time.Second, 2)
	rcv.answer(http.StatusFound) // nor is a redirect followed
	next(20*time.Second, 3)
	b.sim.SetAppSecret("second")
	b.eventually("the retry waits", b.clock.HasWaiters)
	other := newReceiver(b.withSecret("second"), 200, "DIRECT_MESSAGE") // the callback was moved meanwhile
	b.clock.Step(40 * time.Second)
	b.eventually("the attempt is made", func() bool { return len(b.sim.Deliveries()) == 4 })
	first, last := rcv.all()[0], other.all()[0]
	if len(rcv.all()) != 3 || last.body != first.body {
		t.Error("the retry is not the same webhook at the callback that is registered now")
	}
	if !last.signedWith("second") || !last.at().Equal(begin.Add(70*time.Second)) {
		t.Error("the retry is not signed anew")
	}
	b.eventually("retries end after 200", func() bool { return !b.clock.HasWaiters() })
	if d := b.sim.Deliveries(); d[0].Status != 500 || d[3].Status != 200 || d[3].Attempts != 4 {
		t.Errorf("deliveries %+v", d)
	}
}

// withSecret registers webhooks with another secret.
func (b *bench) withSecret(secret string) *bench {
	b.Helper()
	return &bench{T: b.T, url: b.url, clock: b.clock, sim: b.sim, secret: secret}
}

func TestRetriesEndAfterThreeDays(t *testing.T) {
	b := newBench(t, func(o *simulator.Options) { o.RetryBase = time.Hour })
	rcv := newReceiver(b, 503, "DIRECT_MESSAGE")
	b.send(simulator.Event{NoRetry: true})
	if b.clock.HasWaiters() {
		t.Error("NoRetry is sent again")
	}
	b.send(simulator.Event{})
	// After 1, 3, 7, 15, 31 and 63 hours; the next would be after 127.
	for wait, attempts := time.Hour, 3; attempts <= 8; wait, attempts = wait*2, attempts+1 {
		b.eventually("the retry waits", b.clock.HasWaiters)
		b.clock.Step(wait)
		b.eventually("the attempt is made", func() bool { return len(rcv.all()) == attempts })
	}
	b.eventually("the retries end", func() bool {
		return !b.clock.HasWaiters() && b.done("GET", "state", "")["webhooksRetrying"] == 0.0
	})
}

func TestUnreachableCallbackAndClose(t *testing.T) {
	b := newBench(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	b.register("DIRECT_MESSAGE", dead.URL)
	dead.Close()
	d := b.send(simulator.Event{})
	if d.Status != 0 || d.Error == "" || d.Attempts != 1 {
		t.Errorf("delivery %+v", d)
	}
	b.eventually("the retry waits", b.clock.HasWaiters)
	b.sim.Close() // does not wait for the retry
	b.sim.Close()
	if d := b.send(simulator.Event{}); d.Status != 0 {
		t.Errorf("after Close: %+v", d)
	}
}

// Close does not wait for a callback that hangs.
func TestCloseEndsDeliveries(t *testing.T) {
	b := newBench(t)
	arrived := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that leaves only then
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer hanging.Close()
	b.register("DIRECT_MESSAGE", hanging.URL)
	b.send(simulator.Event{NoWait: true})
	waiting := make(chan simulator.Delivery)
	go func() {
		d, _ := b.sim.SendEvent(t.Context(), simulator.Event{})
		waiting <- d
	}()
	<-arrived
	<-arrived
	b.sim.Close()
	if d := <-waiting; d.Status != 0 || !strings.Contains(d.Error, "cancel") {
		t.Errorf("delivery %+v", d)
	}
}

func TestNoWait(t *testing.T) {
	b := newBench(t)
	rcv := newReceiver(b, 200, "DIRECT_MESSAGE")
	rcv.mu.Lock() // the callback does not answer yet
	d := b.send(simulator.Event{NoWait: true})
	if d.Attempts != 0 || d.MessageID == "" {
		t.Errorf("delivery %+v", d)
	}
	rcv.mu.Unlock()
	b.eventually("it is delivered", func() bool { return len(b.sim.Deliveries()) == 1 })
	if got := b.sim.Deliveries()[0]; got.MessageID != d.MessageID || got.Status != 200 {
		t.Errorf("delivery %+v", got)
	}
}
