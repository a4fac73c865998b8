package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// follow runs a Follower until the test ends.
func (b *bench) follow() {
	b.Helper()
	f := &outbound.Follower{Reader: b.cluster, Log: b.log, States: b.states, Clock: b.clock, Logger: logr.Discard()}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

func TestStatusFromSentToRead(t *testing.T) {
	b := newBench(t)
	b.follow()
	sent, err := b.send(b.sender(change{}), b.request("k", "hi"))
	if err != nil {
		t.Fatal(err)
	}
	b.wantStatus(sent.SendID, cloudevent.StatusDelivered)
	if _, err := b.sim.SendEvent(t.Context(), simulator.Event{Event: "im_mark_read_msg", Business: shop}); err != nil {
		t.Fatal(err)
	}
	b.wantStatus(sent.SendID, cloudevent.StatusRead)
	// Each change was told once, in order.
	want := []cloudevent.Status{cloudevent.StatusAccepted, cloudevent.StatusSent, cloudevent.StatusDelivered, cloudevent.StatusRead}
	var got []cloudevent.Status
	b.eventually("the events", func() bool { got = b.statuses(sent.SendID); return len(got) >= len(want) })
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestAnswerIsLost: TikTok's answer does not come, and the process lives on.
func TestAnswerIsLost(t *testing.T) {
	for name, tc := range map[string]struct {
		fault simulator.Fault
		// quiet: no webhook tells of the message.
		quiet bool
		// again: TikTok does not have it, which is known after a while; the application asks again, and it is sent.
		again bool
	}{
		"TikTok has it, and tells":       {fault: simulator.Fault{CloseAfterProcessing: true}},
		"TikTok has it, and lists it":    {fault: simulator.Fault{CloseAfterProcessing: true}, quiet: true},
		"the answer is garbage":          {fault: simulator.Fault{Garbage: "html"}},
		"the answer is cut":              {fault: simulator.Fault{Garbage: "truncated"}, quiet: true},
		"a gateway fails":                {fault: simulator.Fault{Status: http.StatusBadGateway}, again: true},
		"TikTok fails with its own code": {fault: simulator.Fault{Code: 51065}, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tc.quiet {
				b.sim.SetWebhook("DIRECT_MESSAGE", "")
			}
			tc.fault.Endpoint, tc.fault.Times = sendPath, 1
			b.sim.InjectFault(tc.fault)
			s := b.sender(change{})
			sent, err := b.send(s, b.request("k", "hi"))
			if tc.again {
				var unknown *outbound.UnknownOutcomeError
				if !errors.As(err, &unknown) || unknown.RetryAfter < time.Second {
					t.Fatalf("got %+v, %v", sent, err)
				}
				if _, err := b.send(s, b.request("k", "hi")); !errors.As(err, &unknown) {
					t.Fatalf("at once: %v", err)
				}
				b.wantArrived(0)
				b.clock.Step(unknown.RetryAfter)
				sent, err = b.send(s, b.request("k", "hi"))
			}
			if err != nil || sent.MessageID == "" {
				t.Fatalf("got %+v, %v", sent, err)
			}
			b.wantArrived(1)
		})
	}
}

// TestLostSendTurnsUp: nobody asks again, and TikTok's webhook tells what became of the message.
func TestLostSendTurnsUp(t *testing.T) {
	b := newBench(t)
	b.sim.SetWebhook("DIRECT_MESSAGE", "")
	b.sim.InjectFault(simulator.Fault{Endpoint: sendPath, Times: 1, CloseAfterProcessing: true})
	b.sim.InjectFault(simulator.Fault{Endpoint: listPath, Times: 1, Status: http.StatusBadGateway})
	_, err := b.send(b.sender(change{}), b.request("", "hi"))
	var unknown *outbound.UnknownOutcomeError
	if !errors.As(err, &unknown) {
		t.Fatal(err)
	}
	b.wantStatus(unknown.SendID, cloudevent.StatusAccepted)
	b.clock.Step(long)
	b.sim.SetWebhook("DIRECT_MESSAGE", b.hook)
	b.follow()
	// The webhook comes late, as one that was repeated does.
	if _, err := b.sim.SendEvent(t.Context(), simulator.Event{Event: "im_send_msg", Business: shop, Conversation: b.conversation, Content: []byte(
		fmt.Sprintf(`{"conversation_id":%q,"message_id":"77","type":"text","text":{"body":"hi"},"timestamp":%d,"from_user":{"id":%q,"role":"business_account"},
		"to_user":{"id":"u","role":"personal_account"},"message_tag":{"source":"API"}}`, b.conversation, b.clock.Now().UnixMilli(), shop))}); err != nil {
		t.Fatal(err)
	}
	b.wantStatus(unknown.SendID, cloudevent.StatusDelivered)
	if m := b.message(unknown.SendID); m.ID != "77" {
		t.Errorf("got %+v", m)
	}
}

// unreachable is a TikTok that cannot be reached so many times.
type unreachable struct{ times atomic.Int64 }

func (u *unreachable) RoundTrip(r *http.Request) (*http.Response, error) {
	if u.times.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestNotSentIsSentAgain(t *testing.T) {
	b := newBench(t)
	u := &unreachable{}
	u.times.Store(1)
	s := b.sender(change{transport: u})
	_, err := b.send(s, b.request("k", "hi"))
	var notSent *outbound.NotSentError
	if !errors.As(err, &notSent) || notSent.Throttled {
		t.Fatal(err)
	}
	sent, err := b.send(s, b.request("k", "hi"))
	if err != nil || sent.Replayed {
		t.Fatalf("%+v, %v", sent, err)
	}
	b.wantArrived(1)
	b.wantStatus(sent.SendID, cloudevent.StatusDelivered)
}

func TestThrottledIsSentAgain(t *testing.T) {
	b := newBench(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: sendPath, Times: 1, Code: 40100})
	s := b.sender(change{})
	_, err := b.send(s, b.request("k", "hi"))
	var notSent *outbound.NotSentError
	if !errors.As(err, &notSent) || !notSent.Throttled || notSent.RetryAfter < time.Minute {
		t.Fatal(err)
	}
	// Meanwhile TikTok is not called, and nobody waits in vain.
	begun := time.Now()
	_, err = b.send(s, b.request("other", "ho"))
	var paused *outbound.NotSentError
	if !errors.As(err, &paused) || !paused.Throttled || paused.RetryAfter < time.Minute || time.Since(begun) > 5*time.Second {
		t.Fatalf("%v (%+v) after %s", err, paused, time.Since(begun))
	}
	b.clock.Step(notSent.RetryAfter)
	if sent, err := b.send(s, b.request("k", "hi")); err != nil || sent.Replayed {
		t.Fatalf("%+v, %v", sent, err)
	}
	b.wantArrived(1)
}

func TestSameKeyAtTheSameTime(t *testing.T) {
	b := newBench(t)
	one, other := b.sender(change{}), b.sender(change{}) // two replicas
	var answers []<-chan answer
	for i := range 20 {
		s := one
		if i%2 == 0 {
			s = other
		}
		answers = append(answers, b.start(t.Context(), s, b.request("k", "hi")))
	}
	ids := map[string]bool{}
	first := 0
	for _, a := range answers {
		sent, err := b.await(a)
		if err != nil {
			t.Fatal(err)
		}
		ids[sent.MessageID] = true
		if !sent.Replayed {
			first++
		}
	}
	if len(ids) != 1 || first != 1 {
		t.Errorf("%d ids, %d of them sent", len(ids), first)
	}
	b.wantArrived(1)
}

func TestKeyStandsForOneMessage(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	if _, err := b.send(s, b.request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	var reused *outbound.KeyReusedError
	if _, err := b.send(s, b.request("k", "ho")); !errors.As(err, &reused) {
		t.Errorf("another text: %v", err)
	}
	if _, err := b.send(s, b.request("k2", "hi")); err != nil {
		t.Errorf("another key: %v", err)
	}
	for range 2 {
		if _, err := b.send(s, b.request("", "hi")); err != nil {
			t.Errorf("no key: %v", err)
		}
	}
	b.wantArrived(4)
}

func TestTikTokRefuses(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	b.sim.InjectFault(simulator.Fault{Endpoint: sendPath, Times: 1, Code: tiktok.CodeMessageBlocked, Message: "Take a rest."})
	for range 2 { // the answer to the same key is the same
		_, err := b.send(s, b.request("k", "hi"))
		var refusal *outbound.TikTokRefusal
		if !errors.As(err, &refusal) || refusal.Code != tiktok.CodeMessageBlocked || refusal.Message != "Take a rest." || refusal.Explanation == "" {
			t.Fatalf("%v: %+v", err, refusal)
		}
	}
	if got := b.sim.CountCalls(sendPath); got != 1 {
		t.Errorf("%d calls", got)
	}
	if _, err := b.send(s, b.request("k2", "hi")); err != nil {
		t.Error(err)
	}
	b.wantArrived(1)
}

// TestScopeMissing is for a person to mend: then the same request goes.
func TestScopeMissing(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	b.sim.InjectFault(simulator.Fault{Endpoint: sendPath, Times: 1, Code: 40001})
	var refusal *outbound.TikTokRefusal
	if _, err := b.send(s, b.request("k", "hi")); !errors.As(err, &refusal) || !strings.Contains(refusal.Explanation, "message.list.send") {
		t.Fatal(err)
	}
	if _, err := b.send(s, b.request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	b.wantArrived(1)
}

// TestTokenIsRefused: a token that TikTok refuses is replaced by the manager, whom many messages ask once.
func TestTokenIsRefused(t *testing.T) {
	b := newBench(t)
	b.sim.RevokeBusiness(shop)
	asked := &asking{b: b, renew: true}
	s := b.sender(change{refresher: asked})
	var answers []<-chan answer
	for i := range 10 {
		answers = append(answers, b.start(t.Context(), s, b.request(fmt.Sprint("k", i), "hi")))
	}
	for _, a := range answers {
		if _, err := b.await(a); err != nil {
			t.Error(err)
		}
	}
	b.wantArrived(10)
	if n := asked.times.Load(); n != 1 {
		t.Errorf("the manager was asked %d times", n)
	}
}

func TestTokenStaysRefused(t *testing.T) {
	b := newBench(t)
	b.sim.RevokeBusiness(shop)
	asked := &asking{b: b}
	_, err := b.send(b.sender(change{refresher: asked}), b.request("k", "hi"))
	var refusal *outbound.TikTokRefusal
	if !errors.As(err, &refusal) || refusal.Code != 40105 {
		t.Fatal(err)
	}
	b.setToken(b.sim.IssueToken(shop).AccessToken)
	if _, err := b.send(b.sender(change{}), b.request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	b.wantArrived(1)
}

// asking is a manager that renews the token, or does not.
type asking struct {
	b     *bench
	renew bool
	times atomic.Int64
}

func (a *asking) RequestRefresh(context.Context, *v1alpha1.TiktokChannel) error {
	a.times.Add(1)
	if a.renew {
		a.b.setToken(a.b.sim.IssueToken(shop).AccessToken)
	}
	return nil
}

func TestAnnotatorAsks(t *testing.T) {
	b := newBench(t)
	ch := channel()
	if err := b.cluster.Get(t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil {
		t.Fatal(err)
	}
	if err := (&outbound.Annotator{Client: b.cluster, Clock: b.clock}).RequestRefresh(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if err := b.cluster.Get(t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil || ch.RefreshRequest() == "" {
		t.Errorf("%v %v", err, ch.Annotations)
	}
}

func TestRulesRefuse(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	suspended, unauthorized := channel(), channel()
	suspended.Spec.Suspend = true
	unauthorized.Status.BusinessID = ""
	for name, tc := range map[string]struct {
		change func(*outbound.Request)
		want   messaging.Reason
	}{
		"empty":          {func(r *outbound.Request) { r.Message = messaging.Message{} }, messaging.ReasonEmpty},
		"mixed":          {func(r *outbound.Request) { r.Message.PostID = "1" }, messaging.ReasonMixed},
		"too long":       {func(r *outbound.Request) { r.Message.Text = strings.Repeat("x", 6001) }, messaging.ReasonTextTooLong},
		"suspended":      {func(r *outbound.Request) { r.Channel = suspended }, messaging.ReasonChannelSuspended},
		"not authorized": {func(r *outbound.Request) { r.Channel = unauthorized }, messaging.ReasonChannelNotAuthorized},
	} {
		r := b.request("k", "hi")
		tc.change(&r)
		_, err := b.send(s, r)
		var refusal *messaging.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.sim.CountCalls(""); got != 0 {
		t.Errorf("TikTok was called %d times", got)
	}
	// A refusal is not remembered: the key may be used for what is allowed.
	if _, err := b.send(s, b.request("k", "hi")); err != nil {
		t.Error(err)
	}
}

func TestImageIsUploadedOnce(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	for i, r := range []outbound.Request{b.image("k1"), b.image("k2")} {
		if _, err := b.send(s, r); err != nil {
			t.Fatal(i, err)
		}
	}
	b.wantArrived(2)
	if got := b.sim.CountCalls("business/message/media/upload/"); got != 1 {
		t.Errorf("%d uploads", got)
	}
	b.sim.AllowImages(shop, b.conversation, false)
	b.clock.Step(2 * time.Hour) // what TikTok allows is asked again
	_, err := b.send(s, b.image("k3"))
	var refusal *messaging.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != messaging.ReasonImageNotAllowed {
		t.Error(err)
	}
}

// image is a request to send the smallest PNG there is.
func (b *bench) image(key string) outbound.Request {
	b.Helper()
	r := b.request(key, "")
	r.Image = onePixel(b.T)
	image, refusal := messaging.InspectImage(r.Image)
	if refusal != nil {
		b.Fatal(refusal)
	}
	r.Message.Images = []messaging.Image{image}
	return r
}

func TestActions(t *testing.T) {
	b := newBench(t)
	s := b.sender(change{})
	if err := s.Act(t.Context(), channel(), b.conversation, tiktok.ActionTyping); err != nil {
		t.Fatal(err)
	}
	if c := b.sim.Conversations(shop)[0]; !c.Typing {
		t.Errorf("the user sees no typing: %+v", c)
	}
	if err := s.Act(t.Context(), channel(), b.conversation, tiktok.ActionMarkRead); err != nil {
		t.Fatal(err)
	}
	if c := b.sim.Conversations(shop)[0]; c.ReadByBusiness.IsZero() {
		t.Errorf("it is not read: %+v", c)
	}
	var refusal *outbound.TikTokRefusal
	if err := s.Act(t.Context(), channel(), "no-such", tiktok.ActionTyping); !errors.As(err, &refusal) {
		t.Errorf("no such conversation: %v", err)
	}
}

// TestManySenders: 500 at once on one channel, which all learn what became of their message, and do not keep another channel waiting.
func TestManySenders(t *testing.T) {
	b := newBench(t)
	registry := prometheus.NewPedanticRegistry()
	metrics, err := outbound.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	s := b.sender(change{metrics: metrics})
	var wg sync.WaitGroup
	var sent, busy atomic.Int64
	for i := range 500 {
		wg.Go(func() {
			r := b.request(fmt.Sprint("k", i), fmt.Sprint("hi ", i))
			_, err := s.Send(t.Context(), r)
			var notSent *outbound.NotSentError
			switch {
			case err == nil:
				sent.Add(1)
			case errors.As(err, &notSent) && notSent.Throttled && notSent.RetryAfter > 0:
				busy.Add(1)
			default:
				t.Errorf("message %d: %v", i, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for ticking := true; ticking; {
		select {
		case <-done:
			ticking = false
		case <-time.After(time.Millisecond):
			b.clock.Step(10 * time.Millisecond)
		}
	}
	if sent.Load()+busy.Load() != 500 || sent.Load() < 100 {
		t.Errorf("%d sent, %d told to come back", sent.Load(), busy.Load())
	}
	b.wantArrived(int(sent.Load()))
	if got := testutil.CollectAndCount(registry, "tiktok_operator_sends_total"); got == 0 {
		t.Error("nothing was counted")
	}
}
