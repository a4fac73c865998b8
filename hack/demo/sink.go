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
	url    string
	server *http.Server
	// seen, if set, is shown every request.
	seen func(r *http.Request, body []byte)

	mu    sync.Mutex
	texts map[string]bool
}

func openSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return nil, fmt.Errorf("listening for events: %w", err)
	}
	s := &sink{url: "http://" + l.Addr().String() + "/events", texts: map[string]bool{}}
	s.server = &http.Server{Handler: http.HandlerFunc(s.receive), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
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
	say("      sink: %s  subject=%s  text=%s", r.Header.Get("ce-type"), r.Header.Get("ce-subject"), data.Text)
	s.mu.Lock()
	s.texts[string(data.Text)] = true
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
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
