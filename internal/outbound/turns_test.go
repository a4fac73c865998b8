package outbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// permits are handed out by the test.
type permits struct {
	given  chan struct{}
	paused time.Duration
}

func (p *permits) Wait(ctx context.Context) error {
	select {
	case <-p.given:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *permits) Paused() time.Duration { return p.paused }

// waiting is how many calls of an app wait.
func (t *turns) waiting(app string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.apps[app]; q != nil {
		for _, own := range q.channels {
			n += len(own.waiting)
		}
	}
	return n
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestChannelsTakeTurns(t *testing.T) {
	all, limit := newTurns(), &permits{given: make(chan struct{})}
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	join := func(channel string) {
		before := all.waiting("app")
		wg.Go(func() {
			if err := all.wait(t.Context(), "app", channel, limit, 1000); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, channel)
		})
		waitFor(t, "nobody joined", func() bool { return all.waiting("app") == before+1 })
	}
	for range 5 {
		join("loud")
	}
	join("quiet")
	join("other")
	join("quiet")
	for i := range 8 {
		limit.given <- struct{}{}
		waitFor(t, "nobody had a turn", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == i+1 })
	}
	wg.Wait()
	if want := "[loud quiet other loud quiet loud loud loud]"; fmt.Sprint(order) != want {
		t.Errorf("the order was %v, want %s", order, want)
	}
	waitFor(t, "the queue is kept", func() bool { all.mu.Lock(); defer all.mu.Unlock(); return len(all.apps) == 0 })
}

func TestWhoLeavesWaitsForNothing(t *testing.T) {
	all, limit := newTurns(), &permits{given: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- all.wait(ctx, "app", "a", limit, 10) }()
	waitFor(t, "nobody waits", func() bool { return all.waiting("app") == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waitFor(t, "the queue is kept", func() bool { all.mu.Lock(); defer all.mu.Unlock(); return len(all.apps) == 0 })
	go func() { left <- all.wait(t.Context(), "app", "a", limit, 10) }()
	limit.given <- struct{}{}
	if err := <-left; err != nil {
		t.Error(err)
	}
}

func TestNobodyWaitsInVain(t *testing.T) {
	all, limit := newTurns(), &permits{given: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 10 { // as many as have their turn within the longest wait
		wg.Go(func() { _ = all.wait(ctx, "app", "a", limit, 1) })
	}
	waitFor(t, "they do not wait", func() bool { return all.waiting("app") == 10 })
	wg.Go(func() { _ = all.wait(ctx, "app", "b", limit, 1) }) // its turn comes second
	waitFor(t, "the other channel does not wait", func() bool { return all.waiting("app") == 11 })
	var busy *NotSentError
	for range 2 {
		if err := all.wait(ctx, "app", "a", limit, 1); errors.As(err, &busy) && busy.Throttled {
			break
		}
	}
	if busy == nil || busy.RetryAfter < 5*time.Second {
		t.Errorf("got %+v", busy)
	}
	limit.paused = time.Minute
	if err := all.wait(ctx, "app", "c", limit, 1); !errors.As(err, &busy) || busy.RetryAfter < time.Minute {
		t.Errorf("paused: %v %+v", err, busy)
	}
	cancel()
	wg.Wait()
}

func TestDecide(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(s stage, until time.Time) *attempt { return &attempt{Stage: s, Request: "r", Until: until} }
	for name, tc := range map[string]struct {
		attempt *attempt
		request string
		want    step
	}{
		"nothing":                {nil, "r", stepSend},
		"another message":        {at(sent, time.Time{}), "other", stepReject},
		"sent":                   {at(sent, time.Time{}), "r", stepAnswer},
		"refused":                {at(refused, time.Time{}), "r", stepAnswer},
		"idle":                   {at(idle, time.Time{}), "r", stepSend},
		"called, at it":          {at(called, now.Add(time.Second)), "r", stepWait},
		"called, given up":       {at(called, time.Time{}), "r", stepSettle},
		"called, too long ago":   {at(called, now), "r", stepSettle},
		"a clock that went back": {at(called, now.Add(24*time.Hour)), "r", stepSettle},
		"of a later version":     {at("drafted", time.Time{}), "r", stepSettle},
	} {
		if got := decide(tc.attempt, tc.request, now); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestClassify(t *testing.T) {
	class := func(c tiktok.Class, notSent bool, code int) error {
		return &tiktok.Error{Class: c, NotSent: notSent, Code: code}
	}
	for name, tc := range map[string]struct {
		err  error
		want outcome
	}{
		"none":              {nil, outcomeSent},
		"no permit":         {context.DeadlineExceeded, outcomeUnknown},
		"refused":           {class(tiktok.ClassPermanent, false, 40064), outcomeRefused},
		"throttled":         {class(tiktok.ClassRateLimited, false, 40100), outcomeThrottled},
		"token":             {class(tiktok.ClassTokenRefused, false, 40105), outcomeToken},
		"scope":             {class(tiktok.ClassScopeMissing, false, 40001), outcomeBlocked},
		"app":               {class(tiktok.ClassAppCredentials, false, 40101), outcomeBlocked},
		"not sent":          {class(tiktok.ClassTransient, true, 0), outcomeNotSent},
		"lost":              {class(tiktok.ClassTransient, false, 0), outcomeUnknown},
		"TikTok's fault":    {class(tiktok.ClassTransient, false, 51065), outcomeUnknown},
		"not TikTok's JSON": {class(tiktok.ClassMalformed, false, 0), outcomeUnknown},
	} {
		if got := classify(tc.err); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// TestRequestsDiffer: whatever a message holds is part of what its key stands for.
func TestRequestsDiffer(t *testing.T) {
	var all []string
	for _, m := range []messaging.Message{
		{}, {Text: "a"}, {Text: "a", QuotedMessageID: "1"}, {PostID: "a"}, {ImageMediaID: "a"}, {Card: &messaging.Card{Title: "a"}},
		{Card: &messaging.Card{Title: "a", Buttons: []messaging.Button{{Label: "b"}}}}, {Images: []messaging.Image{{Format: messaging.PNG}}},
	} {
		for _, image := range [][]byte{nil, []byte("x")} {
			for _, conversation := range []string{"c", "d"} {
				r, err := request(conversation, m, image)
				if err != nil || slices.Contains(all, r) {
					t.Errorf("%+v in %s: %v", m, conversation, err)
				}
				all = append(all, r)
			}
		}
	}
}
