package inbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	firstPause, longestPause = 50 * time.Millisecond, time.Second
	// repeatEvery is of how many events one is sent again after it was acknowledged, as TikTok does where an answer was lost.
	repeatEvery = 10
	// noAnswer stands for a status where there was no answer.
	noAnswer = 0
)

// sender is TikTok: all conversations at once, and in each the next message when the last one was acknowledged. What is not is sent again. Where
// there are several URLs, of the replicas behind one address, each attempt takes the next one.
type sender struct {
	urls          []string
	conversations int
	events        int
	body          func(Event, time.Time) []byte
	// clock says how far TikTok's clock is off at an attempt; nil means never.
	clock  func(e Event, attempt int) time.Duration
	client *http.Client

	attempts atomic.Int64
	done     atomic.Int64
	finished chan struct{}

	gate             sync.Mutex
	opened           sync.Cond // when more is allowed
	started, allowed int

	mu           sync.Mutex
	acknowledged []Event
	stored       []time.Time   // when each of them was acknowledged
	longest      time.Duration // from the first attempt to the acknowledgement
	refused      map[int]int   // attempts by status
	unanswered   error         // why the first attempt without an answer had none
	repeated     int           // events that were sent again and acknowledged again
	answers      []time.Duration
}

func newSender(urls []string, o Options, body func(Event, time.Time) []byte) *sender {
	s := &sender{
		urls: urls, allowed: o.Events, conversations: o.Conversations, events: o.Events, body: body, refused: map[int]int{}, finished: make(chan struct{}),
		client: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				MaxIdleConns: o.Conversations, MaxIdleConnsPerHost: o.Conversations,
				// Before the server does, which may be just when a webhook is sent: one that was opened to spare has as long as headers have.
				IdleConnTimeout: ingest.ReadHeaderTimeout / 2,
			},
		},
	}
	s.opened.L = &s.gate
	return s
}

// run sends all events, and returns when the last one was acknowledged.
func (s *sender) run(ctx context.Context) error {
	defer close(s.finished)
	defer s.client.CloseIdleConnections()
	defer context.AfterFunc(ctx, s.opened.Broadcast)()
	var wg sync.WaitGroup
	for conversation := range s.conversations {
		wg.Go(func() {
			for number := 0; number*s.conversations+conversation < s.events && ctx.Err() == nil; number++ {
				s.pass(ctx)
				s.send(ctx, Event{conversation, number})
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// send sends one event until it is acknowledged.
func (s *sender) send(ctx context.Context, e Event) {
	var body []byte
	began, pause := time.Now(), firstPause
	for attempt := 0; ctx.Err() == nil; attempt++ {
		at := time.Now()
		if s.clock != nil {
			at = at.Add(s.clock(e, attempt))
		}
		if body == nil {
			body = s.body(e, at)
		}
		if s.post(ctx, body, at) != http.StatusOK {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
			continue
		}
		s.mu.Lock()
		now := time.Now()
		s.acknowledged, s.stored, s.longest = append(s.acknowledged, e), append(s.stored, now), max(s.longest, now.Sub(began))
		s.mu.Unlock()
		s.done.Add(1)
		if (e.Conversation+e.Number)%repeatEvery == 0 && s.post(ctx, body, at) == http.StatusOK {
			s.mu.Lock()
			s.repeated++
			s.mu.Unlock()
		}
		return
	}
}

// post makes one attempt.
func (s *sender) post(ctx context.Context, body []byte, at time.Time) int {
	began := time.Now()
	status, err := s.try(ctx, tiktok.Sign(appSecret, body, at), body)
	if ctx.Err() != nil {
		return noAnswer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.answers = append(s.answers, time.Since(began))
	} else if s.unanswered == nil {
		s.unanswered = err
	}
	if status != http.StatusOK {
		s.refused[status]++
	}
	return status
}

func (s *sender) try(ctx context.Context, signature string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.urls[int(s.attempts.Add(1))%len(s.urls)], bytes.NewReader(body))
	if err != nil {
		return noAnswer, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(tiktok.SignatureHeader, signature)
	resp, err := s.client.Do(req)
	if err != nil {
		return noAnswer, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the connection is used again
	return resp.StatusCode, nil
}

// forge sends a webhook of somebody who does not know the app's secret.
func (s *sender) forge(ctx context.Context) (int, error) {
	body := s.body(Event{}, time.Now())
	return s.try(ctx, tiktok.Sign("not the secret", body, time.Now()), body)
}

// reached waits until a share of the events is acknowledged.
func (s *sender) reached(ctx context.Context, part, of int) error {
	for s.done.Load() < int64(s.events*part/of) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.finished:
			return errors.New("sending ended before the fault could happen")
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// pass waits while nothing new is to be sent.
func (s *sender) pass(ctx context.Context) {
	s.gate.Lock()
	defer s.gate.Unlock()
	for s.started >= s.allowed && ctx.Err() == nil {
		s.opened.Wait()
	}
	s.started++
}

// hold stops the sending of new events until resume. What is under way goes on.
func (s *sender) hold() { s.allow(0) }

func (s *sender) resume() {
	s.client.CloseIdleConnections() // the server may be closing them at this moment
	s.allow(s.events)
}

// allow lets so many events be sent in all.
func (s *sender) allow(events int) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.allowed = events
	s.opened.Broadcast()
}

// soFar are the events that are acknowledged.
func (s *sender) soFar() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acknowledged)
}

// slowest is the 99th percentile of the times to an answer.
func (s *sender) slowest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.answers))
	return sorted[len(sorted)*99/100]
}

func (s *sender) refusals(status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[status]
}
