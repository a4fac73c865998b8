package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is what goes wrong in the next calls of an endpoint.
//
// Code, Status or both answer instead of TikTok: the call is not processed. HangAfterProcessing and CloseAfterProcessing process the call
// and then lose its answer. Garbage spoils the answer: of a processed call, or together with Code or Status of one that is not. Latency
// goes with each of them, or alone.
type Fault struct {
	// Endpoint is the path after /open_api/v1.3/, with its final slash, or "*" for all.
	Endpoint string `json:"endpoint"`
	// Times is how many calls are hit; zero means all until the faults are cleared.
	Times int `json:"times"`
	// Code is TikTok's, in its envelope with Message; the HTTP status is Status, or 200.
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Status without Code answers as a gateway does: this HTTP status and a page of HTML.
	Status int `json:"status,omitempty"`
	// Latency passes before the call is processed. A client that leaves meanwhile has its call not processed.
	Latency time.Duration `json:"latency,omitempty"`
	// HangAfterProcessing gives no answer until the client leaves, or cuts the connection after five minutes.
	HangAfterProcessing bool `json:"hangAfterProcessing,omitempty"`
	// CloseAfterProcessing cuts the connection.
	CloseAfterProcessing bool `json:"closeAfterProcessing,omitempty"`
	// Garbage is "html", "truncated" (half of the JSON), "empty", or "json" (valid, but not TikTok's).
	Garbage string `json:"garbage,omitempty"`
}

const (
	maxLatency = time.Hour
	hangFor    = 5 * time.Minute
)

func (f Fault) validate(known map[string]endpoint) error {
	if _, ok := known[f.Endpoint]; !ok && f.Endpoint != "*" {
		return unknownEndpointError(f.Endpoint, known)
	}
	if !slices.Contains([]string{"", "html", "truncated", "empty", "json"}, f.Garbage) {
		return fmt.Errorf("garbage %q is not known: it must be html, truncated, empty or json", f.Garbage)
	}
	switch {
	case f.Times < 0:
		return errors.New("times must not be negative: 0 hits all calls until the faults are cleared")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not the HTTP status of an answer: 200 to 599", f.Status)
	case f.Code < 0:
		return errors.New("code must not be negative")
	case f.Message != "" && f.Code == 0:
		return errors.New("message needs a code: without one there is no envelope to hold it")
	case f.Latency < 0 || f.Latency > maxLatency:
		return fmt.Errorf("latency must be between 0 and %s", maxLatency)
	case f.HangAfterProcessing && f.CloseAfterProcessing:
		return errors.New("hangAfterProcessing and closeAfterProcessing exclude each other")
	case (f.HangAfterProcessing || f.CloseAfterProcessing) && (f.insteadOfAnswer() || f.Garbage != ""):
		return errors.New("code, status and garbage need an answer, which hangAfterProcessing and closeAfterProcessing do not give")
	case f.harmless():
		return errors.New("nothing is to go wrong: give code, status, latency, hangAfterProcessing, closeAfterProcessing or garbage")
	}
	return nil
}

func unknownEndpointError(name string, known map[string]endpoint) error {
	return fmt.Errorf("endpoint %q is not known: it must be one of %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

func (f Fault) harmless() bool {
	return !f.insteadOfAnswer() && f.Garbage == "" && f.Latency == 0 && !f.HangAfterProcessing && !f.CloseAfterProcessing
}

// faultQueue holds the faults that are still to hit.
type faultQueue struct {
	mu     sync.Mutex
	faults []Fault
}

// InjectFault adds a fault. A call is hit by one fault, the oldest of its endpoint. It panics on a fault that the admin API refuses (an
// unknown endpoint, a contradiction): the mistake would otherwise show as a test that passes.
func (s *Simulator) InjectFault(f Fault) {
	if err := s.inject(f); err != nil {
		panic("simulator: InjectFault: " + err.Error())
	}
}

func (s *Simulator) inject(f Fault) error {
	if err := f.validate(s.endpoints); err != nil {
		return err
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.faults = append(s.faults.faults, f)
	return nil
}

// ClearFaults removes all faults. Calls that a fault is holding up go on waiting.
func (s *Simulator) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.faults = nil
}

// Faults are those that are still to hit, with the times that are left.
func (s *Simulator) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return append([]Fault{}, s.faults.faults...)
}

func (q *faultQueue) take(endpoint string) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.faults, func(f Fault) bool { return f.Endpoint == endpoint || f.Endpoint == "*" })
	if i < 0 {
		return Fault{}
	}
	f := q.faults[i]
	if f.Times == 1 {
		q.faults = slices.Delete(q.faults, i, i+1)
	} else if f.Times > 1 {
		q.faults[i].Times--
	}
	return f
}
