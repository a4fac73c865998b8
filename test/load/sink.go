package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// countingSink answers every delivery 200 and remembers the numbers of the messages in the order in which they came.
type countingSink struct {
	url string

	mu       sync.Mutex
	numbers  []int
	distinct map[int]bool
	first    time.Time
	last     time.Time // of the first delivery of a message
}

func (s *stage) openSink(ctx context.Context) (*countingSink, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	c := &countingSink{url: "http://" + listener.Addr().String() + "/", distinct: map[int]bool{}}
	server := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	s.onClose(server.Close)
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *countingSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, now := numberOf(body), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = now
	}
	c.numbers = append(c.numbers, n)
	if !c.distinct[n] {
		c.distinct[n], c.last = true, now
	}
}

// forget begins anew.
func (c *countingSink) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers, c.distinct, c.first = nil, map[int]bool{}, time.Time{}
}

// received are the deliveries so far and the different messages among them.
func (c *countingSink) received() (deliveries, messages int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.numbers), len(c.distinct)
}

// perSecond is how fast messages came, from the first to the last.
func (c *countingSink) perSecond() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(len(c.distinct)) / c.last.Sub(c.first).Seconds()
}

// outOfOrder counts the messages that came, for the first time, after a later one of their conversation.
func (c *countingSink) outOfOrder() int { return c.outOfOrderIn(conversations) }

func (c *countingSink) outOfOrderIn(conversations int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, last, wrong := map[int]bool{}, map[int]int{}, 0
	for _, n := range c.numbers {
		if seen[n] {
			continue
		}
		seen[n] = true
		conversation := n % conversations
		if n < last[conversation] {
			wrong++
		}
		last[conversation] = max(last[conversation], n)
	}
	return wrong
}
