package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	maxDeliveries = 10_000
	// retryFor is how long TikTok sends a webhook again.
	retryFor = 72 * time.Hour
	// maxRetrying webhooks may wait to be sent again, and concurrentRetries be sent at a time: a receiver that stays away must not make the
	// simulator grow, nor be flooded when it comes back.
	maxRetrying       = 20_000
	concurrentRetries = 32
)

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	// Time of the attempt.
	Time           time.Time `json:"time"`
	Event          string    `json:"event"`
	Business       string    `json:"business"`
	MessageID      string    `json:"messageID,omitempty"`
	ConversationID string    `json:"conversationID,omitempty"`
	// Status is the HTTP status that the callback answered; 0 if it did not, and then Error says why.
	Status int `json:"status"`
	// Attempts made so far, this one included.
	Attempts int    `json:"attempts"`
	Error    string `json:"error,omitempty"`
}

var (
	// ErrNoWebhook says that no callback is registered for the event's type.
	ErrNoWebhook = errors.New("no webhook is registered for the event's type: register one with business/webhook/update/")
	// ErrTooManyRetrying says that so many webhooks wait to be sent again that no more are accepted.
	ErrTooManyRetrying = fmt.Errorf("%d webhooks wait to be sent again: the callback has not answered 200 for long", maxRetrying)
)

// deliveryLog keeps the latest attempts, and counts what waits for the next one.
type deliveryLog struct {
	mu       sync.Mutex
	ring     ring[Delivery]
	retrying int
}

// SendEvent makes an event and returns how the first attempt to deliver it was answered; a callback that fails is no error. What is not
// answered 200 is sent again in the background, signed anew, with waits that double, for up to 72 hours.
//
// Errors: the Event is not valid, ErrNoWebhook, ErrTooManyRetrying, ErrNoButton.
func (s *Simulator) SendEvent(ctx context.Context, e Event) (Delivery, error) {
	n, err := s.compose(e)
	if err != nil {
		return Delivery{}, err
	}
	if err := s.deliverable(n); err != nil {
		return n.delivery, err
	}
	if e.NoWait {
		d := n.delivery
		s.life.spawn(func(ctx context.Context) { s.deliver(ctx, n) })
		return d, nil
	}
	return s.deliver(ctx, n), nil
}

func (s *Simulator) deliverable(n *notification) error {
	if s.Webhook(eventTypeOf(n.delivery.Event)) == "" {
		return ErrNoWebhook
	}
	if s.retrying() >= maxRetrying {
		return ErrTooManyRetrying
	}
	return nil
}

// deliver makes the first attempt and arranges for the next ones. n must not be used afterwards.
func (s *Simulator) deliver(ctx context.Context, n *notification) Delivery {
	if n.message != nil {
		s.conversations.keep(n.delivery.Business, *n.message, s.opts.Clock.Now())
	}
	if n.read {
		at := s.opts.Clock.Now()
		s.conversations.change(n.delivery.Business, n.delivery.ConversationID, func(conv *conversation) { conv.readByUser = at })
	}
	s.attempt(ctx, n)
	d := n.delivery
	if d.Status != http.StatusOK && n.retry {
		s.addRetrying(1)
		s.life.spawn(func(ctx context.Context) {
			defer s.addRetrying(-1)
			s.retry(ctx, n)
		})
	}
	return d
}

func (s *Simulator) retry(ctx context.Context, n *notification) {
	begun := n.delivery.Time
	for wait := s.opts.RetryBase; s.opts.Clock.Since(begun)+wait <= retryFor; wait *= 2 {
		if !s.delay(ctx, wait) {
			return
		}
		select {
		case s.retries <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.attempt(ctx, n)
		<-s.retries
		if n.delivery.Status == http.StatusOK {
			return
		}
	}
	s.log.Info("A webhook was given up", "event", n.delivery.Event, "business", n.delivery.Business, "attempts", n.delivery.Attempts)
}

// attempt sends the notification to the callback that is registered now, signed now.
func (s *Simulator) attempt(ctx context.Context, n *notification) {
	ctx, cancel := s.life.within(ctx)
	defer cancel()
	d := &n.delivery
	d.Time = s.opts.Clock.Now()
	d.Attempts++
	status, err := s.post(ctx, n)
	d.Status, d.Error = status, ""
	if err != nil {
		d.Error = err.Error()
	}
	s.deliveries.mu.Lock()
	s.deliveries.ring.add(*d)
	s.deliveries.mu.Unlock()
	s.log.Info("Delivered a webhook", "event", d.Event, "business", d.Business, "status", d.Status, "attempt", d.Attempts, "error", d.Error)
}

func (s *Simulator) post(ctx context.Context, n *notification) (int, error) {
	callback := s.Webhook(eventTypeOf(n.delivery.Event))
	if callback == "" {
		return 0, errors.New("no webhook is registered any more")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, callback, bytes.NewReader(n.body))
	if err != nil {
		return 0, errors.New("the callback URL is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tiktok-simulator")
	if header := signatureHeader(n.signature, s.app.signingSecret(), n.delivery.Time, n.body); header != "" {
		req.Header.Set("Tiktok-Signature", header)
	}
	resp, err := s.deliverer.Do(req)
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err // the callback URL is known
		}
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // what it says does not matter
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, nil
}

// deliverer is the client with redirects off: TikTok takes 200 for an answer, and nothing else.
func deliverer(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	} else {
		c.Timeout = 10 * time.Second
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			t = t.Clone()
			t.MaxIdleConnsPerHost = concurrentRetries
			c.Transport = t
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Deliveries are the latest attempts of all webhooks, oldest first; 10,000 are kept.
func (s *Simulator) Deliveries() []Delivery {
	s.deliveries.mu.Lock()
	defer s.deliveries.mu.Unlock()
	return s.deliveries.ring.all(func(Delivery) bool { return true })
}

func (s *Simulator) retrying() int {
	s.deliveries.mu.Lock()
	defer s.deliveries.mu.Unlock()
	return s.deliveries.retrying
}

func (s *Simulator) addRetrying(n int) {
	s.deliveries.mu.Lock()
	defer s.deliveries.mu.Unlock()
	s.deliveries.retrying += n
}
