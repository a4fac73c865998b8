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

	mu sync.Mutex
	// texts that arrived, with their conversation, and statuses of messages.
	texts    map[string]string
	statuses map[string]bool
	burst    *arrivals // what is not printed
}

func openSink() (*sink, error) {
	s := &sink{address: "127.0.0.1:0", texts: map[string]string{}, statuses: map[string]bool{}}
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
		Text      json.RawMessage `json:"text"`
		MessageID string          `json:"messageID"`
		Kind      string          `json:"kind"`
		Status    string          `json:"status"`
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
	what, subject := "", r.Header.Get("ce-subject")
	switch {
	case data.Status != "":
		what = "status=" + data.Status
	case len(data.Text) > 0:
		what = "text=" + string(data.Text)
	case data.Kind != "":
		what = "kind=" + data.Kind
	}
	say("      sink: %s  subject=%s  %s", r.Header.Get("ce-type"), subject, what)
	s.mu.Lock()
	s.texts[string(data.Text)] = subject
	s.statuses[data.MessageID+" "+data.Status] = true
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
	_, ok := s.texts[string(quoted)]
	return ok
}

// conversationOf is the conversation in which a text arrived.
func (s *sink) conversationOf(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	quoted, _ := json.Marshal(text)
	return s.texts[string(quoted)]
}

// told says whether an event told that a message has a status.
func (s *sink) told(messageID, status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[messageID+" "+status]
}

func (s *sink) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.server.Shutdown(ctx)
}
