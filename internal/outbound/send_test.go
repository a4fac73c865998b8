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
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// follow runs a Follower until the test ends.
func follow(b *outboundtest.Bench) {
	b.Helper()
	f := &outbound.Follower{Reader: b.Cluster, Log: b.Log, States: b.States, Clock: b.Clock, Logger: logr.Discard()}
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
	b := outboundtest.New(t)
	follow(b)
	sent, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi"))
	if err != nil {
		t.Fatal(err)
	}
	// Each change is told once, in order.
	told := func(want ...cloudevent.Status) {
		t.Helper()
		var got []cloudevent.Status
		b.Eventually("the events", func() bool { got = b.Statuses(sent.SendID); return len(got) >= len(want) })
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told %v, want %v", got, want)
		}
	}
	told(cloudevent.StatusAccepted, cloudevent.StatusSent, cloudevent.StatusDelivered)
	if _, err := b.Sim.SendEvent(t.Context(), simulator.Event{Event: "im_mark_read_msg", Business: outboundtest.Shop}); err != nil {
		t.Fatal(err)
	}
	told(cloudevent.StatusAccepted, cloudevent.StatusSent, cloudevent.StatusDelivered, cloudevent.StatusRead)
	b.WantStatus(sent.SendID, cloudevent.StatusRead)
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
			b := outboundtest.New(t)
			if tc.quiet {
				b.Sim.SetWebhook("DIRECT_MESSAGE", "")
			}
			tc.fault.Endpoint, tc.fault.Times = outboundtest.SendPath, 1
			b.Sim.InjectFault(tc.fault)
			s := b.Sender(outboundtest.Change{})
			sent, err := b.Send(s, b.Request("k", "hi"))
			if tc.again {
				var unknown *outbound.UnknownOutcomeError
				if !errors.As(err, &unknown) || unknown.RetryAfter < time.Second {
					t.Fatalf("got %+v, %v", sent, err)
				}
				if _, err := b.Send(s, b.Request("k", "hi")); !errors.As(err, &unknown) {
					t.Fatalf("at once: %v", err)
				}
				b.WantArrived(0)
				b.Clock.Step(unknown.RetryAfter)
				sent, err = b.Send(s, b.Request("k", "hi"))
			}
			if err != nil || sent.MessageID == "" {
				t.Fatalf("got %+v, %v", sent, err)
			}
			b.WantArrived(1)
		})
	}
}

// TestLostSendTurnsUp: nobody asks again, and TikTok's webhook tells what became of the message.
func TestLostSendTurnsUp(t *testing.T) {
	b := outboundtest.New(t)
	b.Sim.SetWebhook("DIRECT_MESSAGE", "")
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, CloseAfterProcessing: true})
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.ListPath, Times: 1, Status: http.StatusBadGateway})
	_, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("", "hi"))
	var unknown *outbound.UnknownOutcomeError
	if !errors.As(err, &unknown) {
		t.Fatal(err)
	}
	b.WantStatus(unknown.SendID, cloudevent.StatusAccepted)
	b.Clock.Step(long)
	b.Sim.SetWebhook("DIRECT_MESSAGE", b.Hook)
	follow(b)
	// The webhook comes late, as one that was repeated does.
	if _, err := b.Sim.SendEvent(t.Context(), simulator.Event{Event: "im_send_msg", Business: outboundtest.Shop, Conversation: b.Conversation, Content: []byte(
		fmt.Sprintf(`{"conversation_id":%q,"message_id":"77","type":"text","text":{"body":"hi"},"timestamp":%d,"from_user":{"id":%q,"role":"business_account"},
		"to_user":{"id":"u","role":"personal_account"},"message_tag":{"source":"API"}}`, b.Conversation, b.Clock.Now().UnixMilli(), outboundtest.Shop))}); err != nil {
		t.Fatal(err)
	}
	b.WantStatus(unknown.SendID, cloudevent.StatusDelivered)
	if m := b.Message(unknown.SendID); m.ID != "77" {
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
	b := outboundtest.New(t)
	u := &unreachable{}
	u.times.Store(1)
	s := b.Sender(outboundtest.Change{Transport: u})
	_, err := b.Send(s, b.Request("k", "hi"))
	var notSent *outbound.NotSentError
	if !errors.As(err, &notSent) || notSent.Throttled {
		t.Fatal(err)
	}
	sent, err := b.Send(s, b.Request("k", "hi"))
	if err != nil || sent.Replayed {
		t.Fatalf("%+v, %v", sent, err)
	}
	b.WantArrived(1)
	b.WantStatus(sent.SendID, cloudevent.StatusDelivered)
}

func TestThrottledIsSentAgain(t *testing.T) {
	b := outboundtest.New(t)
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, Code: 40100})
	s := b.Sender(outboundtest.Change{})
	_, err := b.Send(s, b.Request("k", "hi"))
	var notSent *outbound.NotSentError
	if !errors.As(err, &notSent) || !notSent.Throttled || notSent.RetryAfter < time.Minute {
		t.Fatal(err)
	}
	// Meanwhile TikTok is not called, and nobody waits in vain.
	begun := b.Clock.Now()
	_, err = b.Send(s, b.Request("other", "ho"))
	var paused *outbound.NotSentError
	waited := b.Clock.Since(begun)
	if !errors.As(err, &paused) || !paused.Throttled || paused.RetryAfter < time.Minute || waited >= time.Minute {
		t.Fatalf("%v (%+v) after %s", err, paused, waited)
	}
	b.Clock.Step(notSent.RetryAfter)
	if sent, err := b.Send(s, b.Request("k", "hi")); err != nil || sent.Replayed {
		t.Fatalf("%+v, %v", sent, err)
	}
	b.WantArrived(1)
}

func TestSameKeyAtTheSameTime(t *testing.T) {
	b := outboundtest.New(t)
	one, other := b.Sender(outboundtest.Change{}), b.Sender(outboundtest.Change{}) // two replicas
	var answers []<-chan outboundtest.Answer
	for i := range 20 {
		s := one
		if i%2 == 0 {
			s = other
		}
		answers = append(answers, b.Start(t.Context(), s, b.Request("k", "hi")))
	}
	ids := map[string]bool{}
	first := 0
	for _, a := range answers {
		sent, err := b.Await(a)
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
	b.WantArrived(1)
}

func TestKeyStandsForOneMessage(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	if _, err := b.Send(s, b.Request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	var reused *outbound.KeyReusedError
	if _, err := b.Send(s, b.Request("k", "ho")); !errors.As(err, &reused) {
		t.Errorf("another text: %v", err)
	}
	if _, err := b.Send(s, b.Request("k2", "hi")); err != nil {
		t.Errorf("another key: %v", err)
	}
	for range 2 {
		if _, err := b.Send(s, b.Request("", "hi")); err != nil {
			t.Errorf("no key: %v", err)
		}
	}
	b.WantArrived(4)
}

func TestTikTokRefuses(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, Code: tiktok.CodeMessageBlocked, Message: "Take a rest."})
	for range 2 { // the answer to the same key is the same
		_, err := b.Send(s, b.Request("k", "hi"))
		var refusal *outbound.TikTokRefusal
		if !errors.As(err, &refusal) || refusal.Code != tiktok.CodeMessageBlocked || refusal.Message != "Take a rest." || refusal.Explanation == "" {
			t.Fatalf("%v: %+v", err, refusal)
		}
	}
	if got := b.Sim.CountCalls(outboundtest.SendPath); got != 1 {
		t.Errorf("%d calls", got)
	}
	if _, err := b.Send(s, b.Request("k2", "hi")); err != nil {
		t.Error(err)
	}
	b.WantArrived(1)
}

// TestScopeMissing is for a person to mend: then the same request goes.
func TestScopeMissing(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	b.Sim.InjectFault(simulator.Fault{Endpoint: outboundtest.SendPath, Times: 1, Code: 40001})
	var refusal *outbound.TikTokRefusal
	if _, err := b.Send(s, b.Request("k", "hi")); !errors.As(err, &refusal) || !strings.Contains(refusal.Explanation, "message.list.send") {
		t.Fatal(err)
	}
	if _, err := b.Send(s, b.Request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	b.WantArrived(1)
}

// TestTokenIsRefused: a token that TikTok refuses is replaced by the manager, whom many messages ask once.
func TestTokenIsRefused(t *testing.T) {
	b := outboundtest.New(t)
	b.Sim.RevokeBusiness(outboundtest.Shop)
	asked := &asking{b: b, renew: true}
	s := b.Sender(outboundtest.Change{Refresher: asked})
	var answers []<-chan outboundtest.Answer
	for i := range 10 {
		answers = append(answers, b.Start(t.Context(), s, b.Request(fmt.Sprint("k", i), "hi")))
	}
	for _, a := range answers {
		if _, err := b.Await(a); err != nil {
			t.Error(err)
		}
	}
	b.WantArrived(10)
	if n := asked.times.Load(); n != 1 {
		t.Errorf("the manager was asked %d times", n)
	}
}

func TestTokenStaysRefused(t *testing.T) {
	b := outboundtest.New(t)
	b.Sim.RevokeBusiness(outboundtest.Shop)
	asked := &asking{b: b}
	_, err := b.Send(b.Sender(outboundtest.Change{Refresher: asked}), b.Request("k", "hi"))
	var refusal *outbound.TikTokRefusal
	if !errors.As(err, &refusal) || refusal.Code != 40105 {
		t.Fatal(err)
	}
	b.SetToken(b.Sim.IssueToken(outboundtest.Shop).AccessToken)
	if _, err := b.Send(b.Sender(outboundtest.Change{}), b.Request("k", "hi")); err != nil {
		t.Fatal(err)
	}
	b.WantArrived(1)
}

// asking is a manager that renews the token, or does not.
type asking struct {
	b     *outboundtest.Bench
	renew bool
	times atomic.Int64
}

func (a *asking) RequestRefresh(context.Context, *v1alpha1.TiktokChannel) error {
	a.times.Add(1)
	if a.renew {
		a.b.SetToken(a.b.Sim.IssueToken(outboundtest.Shop).AccessToken)
	}
	return nil
}

func TestAnnotatorAsks(t *testing.T) {
	b := outboundtest.New(t)
	ch := outboundtest.Channel()
	if err := b.Cluster.Get(t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil {
		t.Fatal(err)
	}
	if err := (&outbound.Annotator{Client: b.Cluster, Clock: b.Clock}).RequestRefresh(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if err := b.Cluster.Get(t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil || ch.RefreshRequest() == "" {
		t.Errorf("%v %v", err, ch.Annotations)
	}
}

func TestRulesRefuse(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	suspended, unauthorized := outboundtest.Channel(), outboundtest.Channel()
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
		r := b.Request("k", "hi")
		tc.change(&r)
		_, err := b.Send(s, r)
		var refusal *messaging.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.Sim.CountCalls(""); got != 0 {
		t.Errorf("TikTok was called %d times", got)
	}
	// A refusal is not remembered: the key may be used for what is allowed.
	if _, err := b.Send(s, b.Request("k", "hi")); err != nil {
		t.Error(err)
	}
}

func TestImageIsUploadedOnce(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	for i, r := range []outbound.Request{image(b, "k1"), image(b, "k2")} {
		if _, err := b.Send(s, r); err != nil {
			t.Fatal(i, err)
		}
	}
	b.WantArrived(2)
	if got := b.Sim.CountCalls("business/message/media/upload/"); got != 1 {
		t.Errorf("%d uploads", got)
	}
	b.Sim.AllowImages(outboundtest.Shop, b.Conversation, false)
	b.Clock.Step(2 * time.Hour) // what TikTok allows is asked again
	_, err := b.Send(s, image(b, "k3"))
	var refusal *messaging.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != messaging.ReasonImageNotAllowed {
		t.Error(err)
	}
}

// image is a request to send the smallest PNG there is.
func image(b *outboundtest.Bench, key string) outbound.Request {
	b.Helper()
	r := b.Request(key, "")
	r.Image = outboundtest.OnePixel(b.TB)
	inspected, refusal := messaging.InspectImage(r.Image)
	if refusal != nil {
		b.Fatal(refusal)
	}
	r.Message.Images = []messaging.Image{inspected}
	return r
}

func TestActions(t *testing.T) {
	b := outboundtest.New(t)
	s := b.Sender(outboundtest.Change{})
	if err := s.Act(t.Context(), outboundtest.Channel(), b.Conversation, tiktok.ActionTyping); err != nil {
		t.Fatal(err)
	}
	if c := b.Sim.Conversations(outboundtest.Shop)[0]; !c.Typing {
		t.Errorf("the user sees no typing: %+v", c)
	}
	if err := s.Act(t.Context(), outboundtest.Channel(), b.Conversation, tiktok.ActionMarkRead); err != nil {
		t.Fatal(err)
	}
	if c := b.Sim.Conversations(outboundtest.Shop)[0]; c.ReadByBusiness.IsZero() {
		t.Errorf("it is not read: %+v", c)
	}
	var refusal *outbound.TikTokRefusal
	if err := s.Act(t.Context(), outboundtest.Channel(), "no-such", tiktok.ActionTyping); !errors.As(err, &refusal) {
		t.Errorf("no such conversation: %v", err)
	}
}

// TestManySenders: 500 at once on one channel, which all learn what became of their message, and do not keep another channel waiting.
func TestManySenders(t *testing.T) {
	b := outboundtest.New(t)
	registry := prometheus.NewPedanticRegistry()
	metrics, err := outbound.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	s := b.Sender(outboundtest.Change{Metrics: metrics})
	var wg sync.WaitGroup
	var sent, busy atomic.Int64
	for i := range 500 {
		wg.Go(func() {
			r := b.Request(fmt.Sprint("k", i), fmt.Sprint("hi ", i))
			_, err := s.Send(t.Context(), r)
			// A busy machine may take longer than the event log may. Then the application asks again, and the message goes once all the same.
			for errors.As(err, new(*eventlog.UnavailableError)) || errors.As(err, new(*outbound.InProgressError)) {
				_, err = s.Send(t.Context(), r)
			}
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
			b.Clock.Step(10 * time.Millisecond)
		}
	}
	if sent.Load()+busy.Load() != 500 || sent.Load() < 100 {
		t.Errorf("%d sent, %d told to come back", sent.Load(), busy.Load())
	}
	b.WantArrived(int(sent.Load()))
	if got := testutil.CollectAndCount(registry, "tiktok_operator_sends_total"); got == 0 {
		t.Error("nothing was counted")
	}
}
