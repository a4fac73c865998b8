package inbound

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// sink is a receiver of events that writes down everything.
type sink struct {
	name    string
	address string
	// behave decides an answer by how often the event came before; nil means 204. It may wait, for as long as the request's context lets it.
	behave func(ctx context.Context, e Event, before int) int
	// locked says that deliveries must have credentials.
	locked bool

	mu       sync.Mutex
	server   *http.Server // nil while it is dead
	arrivals []*arrival
	before   map[Event]int
	taken    map[Event]bool
}

// arrival is a request. whole says that all of it arrived, and the Delivery is what it was.
type arrival struct {
	Delivery
	whole bool
}

func openSink(name string) (*sink, error) {
	s := &sink{name: name, address: "127.0.0.1:0", before: map[Event]int{}, taken: map[Event]bool{}}
	err := s.revive(context.Background())
	return s, err
}

// url for a channel; its CloudEvents source is the path.
func (s *sink) url(source string) string { return "http://" + s.address + source }

// revive makes it listen, again at the same address.
func (s *sink) revive(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listening for events: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, s.server = listener.Addr().String(), server
	go func() { _ = server.Serve(listener) }() // ends with die
	return nil
}

// die ends all connections and refuses new ones.
func (s *sink) die() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Other tests run beside this one: what knocks at a port that was theirs before is no delivery, however badly made.
	if r.ContentLength == 0 && r.Header.Get("Ce-Id") == "" {
		http.NotFound(w, r)
		return
	}
	entry := &arrival{}
	s.mu.Lock()
	arrived := time.Now() // in the order of arrival
	s.arrivals = append(s.arrivals, entry)
	s.mu.Unlock()

	d, whole := read(r, r.URL.Path, s.check)
	if !whole {
		return
	}
	d.Arrived = arrived
	status := http.StatusNoContent
	if s.behave != nil {
		s.mu.Lock()
		before := s.before[d.Event]
		s.before[d.Event]++
		s.mu.Unlock()
		status = s.behave(r.Context(), d.Event, before)
	}
	d.Answered, d.Taken = time.Now(), status < 300 && r.Context().Err() == nil
	s.mu.Lock()
	*entry = arrival{d, true}
	if d.Taken {
		s.taken[d.Event] = true
	}
	s.mu.Unlock()
	w.WriteHeader(status)
}

// received are the deliveries in the order of their arrival.
func (s *sink) received() (list []Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.arrivals {
		if a.whole {
			list = append(list, a.Delivery)
		}
	}
	return list
}

// requests is how many have arrived.
func (s *sink) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrivals)
}

// count is how many different events it has taken.
func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// hasAll says whether it has taken these events.
func (s *sink) hasAll(events []Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if !s.taken[e] {
			return false
		}
	}
	return true
}
