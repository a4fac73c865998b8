package dispatch

import (
	"slices"
	"sync"
)

// quota divides what this process has only so much of among the hosts that sinks are at. A host gets no more than it leaves free: however many
// channels have a sink at a host that hangs, there is room for what goes elsewhere. Whoever finds none waits for a turn: the hosts take turns,
// and at each host its sinks.
type quota struct {
	total int

	mu     sync.Mutex
	used   int
	shares map[string]*share
	// turns are the shares in which somebody waits. The first that there is room for is next.
	turns []*share
}

// share is what a host has.
type share struct {
	used    int
	waiting []waiter
}

type waiter struct {
	amount  int
	granted func()
}

func newQuota(total int) *quota { return &quota{total: total, shares: map[string]*share{}} }

// take takes an amount for a host, if there is room and nobody else waits for it there.
func (q *quota) take(host string, amount int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.share(host)
	defer q.tidy(host, s)
	if len(s.waiting) > 0 || !q.room(s, amount) {
		return false
	}
	q.add(s, amount)
	return true
}

// wait has granted called, in a goroutine of its own, once it is the caller's turn and the amount was taken for it.
func (q *quota) wait(host string, amount int, granted func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.share(host)
	if s.waiting = append(s.waiting, waiter{amount, granted}); len(s.waiting) == 1 {
		q.turns = append(q.turns, s)
	}
	q.grant()
}

// force takes an amount for which there need be no room: what exists already.
func (q *quota) force(host string, amount int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if amount > 0 {
		q.add(q.share(host), amount)
	}
}

// give gives an amount back.
func (q *quota) give(host string, amount int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if amount > 0 {
		s := q.share(host)
		q.add(s, -amount)
		q.grant()
		q.tidy(host, s)
	}
}

// contended says that somebody waits.
func (q *quota) contended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.turns) > 0
}

// room says whether a share may grow by an amount. q.mu is held.
func (q *quota) room(s *share, amount int) bool {
	return q.used == 0 || s.used+amount <= q.total-q.used-amount
}

// grant gives their turns to those whom there is room for. q.mu is held.
func (q *quota) grant() {
	for i := 0; i < len(q.turns) && q.used < q.total; {
		s := q.turns[i]
		next := s.waiting[0]
		if !q.room(s, next.amount) {
			i++
			continue
		}
		q.add(s, next.amount)
		s.waiting[0] = waiter{}
		s.waiting = s.waiting[1:]
		if q.turns = slices.Delete(q.turns, i, i+1); len(s.waiting) > 0 {
			q.turns = append(q.turns, s)
		}
		go next.granted()
	}
}

func (q *quota) add(s *share, amount int) {
	s.used += amount
	q.used += amount
}

func (q *quota) share(host string) *share {
	s := q.shares[host]
	if s == nil {
		s = &share{}
		q.shares[host] = s
	}
	return s
}

// tidy forgets a share that is empty. q.mu is held.
func (q *quota) tidy(host string, s *share) {
	if s.used == 0 && len(s.waiting) == 0 {
		delete(q.shares, host)
	}
}
