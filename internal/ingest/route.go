package ingest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// routingPatience is how long a webhook waits for the moving of earlier events, from its beginning on. If that takes longer, what comes meanwhile
// is stored behind them.
const routingPatience = 2 * time.Second

// target is what events are moved for, and where to.
type target struct{ app, business, uid string }

// route is what was done for one channel that holds a business.
type route struct {
	target
	left question

	mu sync.Mutex
	// done says that nothing waits, as far as this process knows.
	done bool
	// since is when that was last found.
	since time.Time
	// moving is under way; nil if nothing is.
	moving *moving
}

// question whether other processes have left something, asked once for all events that came before it was.
type question struct {
	turn  chan struct{} // of capacity 1: who has it asks, or takes the answer
	asked atomic.Int64
	left  bool
	err   error
}

func (q *question) ask(ctx context.Context, ask func() (bool, error)) (left bool, err error) {
	before := q.asked.Load()
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if q.asked.Load() == before {
		q.asked.Add(1)
		q.left, q.err = ask()
	}
	return q.left, q.err
}

// moving of what waits for a channel.
type moving struct {
	// late is closed when a webhook has waited long enough, or at the end.
	late <-chan struct{}
	// again says that more was stored meanwhile; it belongs to the route.
	again bool
	// ended is closed at the end, when err is set.
	ended chan struct{}
	err   error
	// cancel ends it.
	cancel context.CancelFunc
}

// abandon ends the moving to a channel that does not hold the business any more. What is left waits for another.
func (s *route) abandon() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving != nil {
		s.moving.cancel()
	}
}

// moved ends the moving, unless there is more.
func (s *route) moved(m *moving, now time.Time) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.err == nil && m.again {
		m.again = false
		return true
	}
	s.done, s.since, s.moving = m.err == nil, now, nil
	return false
}

// await waits for a moving, for as long as a webhook does, and says whether nothing waits any more.
func (s *route) await(ctx context.Context, m *moving) (done bool, err error) {
	if err := m.wait(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done, nil
}

// doneAt is when it was last found that nothing waits.
func (s *route) doneAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

func newMoving(cancel context.CancelFunc) *moving {
	patience, release := context.WithTimeout(context.Background(), routingPatience)
	return &moving{late: patience.Done(), ended: make(chan struct{}), cancel: func() { cancel(); release() }}
}

// wait for the end, for as long as a webhook does.
func (m *moving) wait(ctx context.Context) error {
	select {
	case <-m.ended:
		return m.err
	case <-m.late:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-m.ended:
		return m.err
	default:
		return nil
	}
}
