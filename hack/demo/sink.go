package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// sink is an example receiver: it prints what it gets and answers 204.
type sink struct {
	address string
	server  *http.Server
	// seen, if set, is shown every request.
	seen func(r *http.Request, body []byte)

	mu    sync.Mutex
	texts map[string]bool
	burst *arrivals // what is not printed
}

func openSink() (*sink, error) {
	s := &sink{address: "127.0.0.1:0", texts: map[string]bool{}}
	err := s.start()
	return s, err
}

func (s *sink) url() string { return "http://" + s.address + "/events" }

// start makes it listen, again at the same address after a stop.
func (s *sink) start() error {
	l, err := net.Listen("tcp", s.address) //nolint:noctx // at once
	if err != nil {
		return fmt.Errorf("listening for events: %w", err)
	}
	s.address = l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(s.receive), ReadHeaderTimeout: 5 * time.Second}
	s.server = server
	go func() { _ = server.Serve(l) }()
	return nil
}

// stop ends it as a crash does: connections too.
func (s *sink) stop() { _ = s.server.Close() }

// collect makes it count the messages of a burst instead of printing them; nil ends that.
func (s *sink) collect(a *arrivals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.burst = a
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	var data struct {
		Text json.RawMessage `json:"text"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if s.seen != nil {
		s.seen(r, body)
	}
	if err := json.Unmarshal(body, &data); err != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	if s.counted(r.Header.Get("ce-id"), data.Text) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	say("      sink: %s  subject=%s  text=%s", r.Header.Get("ce-type"), r.Header.Get("ce-subject"), data.Text)
	s.mu.Lock()
	s.texts[string(data.Text)] = true
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (s *sink) counted(id string, quoted json.RawMessage) bool {
	s.mu.Lock()
	burst := s.burst
	s.mu.Unlock()
	var text string
	return burst != nil && json.Unmarshal(quoted, &text) == nil && burst.take(id, text)
}

func (s *sink) got(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	quoted, _ := json.Marshal(text)
	return s.texts[string(quoted)]
}

func (s *sink) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.server.Shutdown(ctx)
}
