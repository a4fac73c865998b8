package inbound

import (
	"fmt"
	"time"
)

// Event names a message: the nth of its conversation, from 0 on.
type Event struct{ Conversation, Number int }

// Delivery is one request that a sink received.
type Delivery struct {
	Event
	// ID is the CloudEvent's.
	ID string
	// Arrived is when the request did, Answered when the sink answered it.
	Arrived, Answered time.Time
	// Taken says that the answer was 2xx, and that somebody still waited for it.
	Taken bool
	// Problem is what is wrong with the request itself; "" if nothing is.
	Problem string
}

// Excuse is an accident that justifies repetitions: what a sink took between From and Over may come again after Over. A conversation goes back
// for it once, to begin again at an earlier event.
type Excuse struct {
	// Sink whose deliveries it excuses; "" means all.
	Sink string
	// From is how far back a repetition may reach. Began is when it happened, Over when all that was on its way had arrived.
	From, Began, Over time.Time
	// Meanwhile says that a repetition may come before Over, too: of a replica that is cut off, nobody outside knows when it has stopped and
	// another one begins.
	Meanwhile bool
}

// buffered is how long after an accident a sink may still receive what was sent before it.
const buffered = 500 * time.Millisecond

func (e Excuse) justifies(sink string, earlier, later Delivery) bool {
	if e.Sink != "" && e.Sink != sink || earlier.Arrived.Before(e.From) || earlier.Arrived.After(e.Over.Add(buffered)) {
		return false
	}
	if e.Meanwhile {
		return later.Arrived.After(e.Began)
	}
	if earlier.Arrived.After(e.Over) { // it was on its way; the later one must not have been
		return !later.Arrived.Before(e.Over.Add(buffered))
	}
	return !later.Arrived.Before(e.Over)
}

// Account is what happened, as both ends saw it.
type Account struct {
	// Acknowledged are the events that were answered 200: those of a conversation in the order of their answers.
	Acknowledged []Event
	// Sinks are the deliveries to each sink in the order of their arrival.
	Sinks map[string][]Delivery
	// Dead are the events that each sink refuses for good, and has to be spared after that.
	Dead map[string]map[Event]bool
	// Excuses for repetitions.
	Excuses []Excuse
}

// Verdict is what came of one sink.
type Verdict struct {
	// Attempts are all requests. Taken counts the events that arrived, once each.
	Attempts, Taken int
	// Lost were acknowledged and never taken.
	Lost int
	// OutOfOrder are requests for an event before all earlier ones of its conversation were dealt with, or repetitions that do not follow each
	// other in that order.
	OutOfOrder int
	// Repeated counts repetitions that an accident justifies; Unjustified those that nothing does.
	Repeated, Unjustified int
	// Strange are requests that should not exist: malformed, of events that were not acknowledged, or with another event's id.
	Strange int
	// Reach is the longest time between a delivery that was repeated and the accident that justifies it.
	Reach time.Duration
	// Problems describes the first few of what is wrong.
	Problems []string
}

// OK says that all that must hold does.
func (v Verdict) OK() bool { return v.Lost+v.OutOfOrder+v.Unjustified+v.Strange == 0 }

const maxProblems = 5

func (v *Verdict) problem(count *int, format string, args ...any) {
	*count++
	if len(v.Problems) < maxProblems {
		v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
	}
}

// Check judges what each sink received. It is pure.
func Check(a Account) map[string]Verdict {
	c := checker{Account: a, position: map[Event]int{}, order: map[int][]Event{}, ids: map[Event]string{}, events: map[string]Event{}}
	for _, e := range a.Acknowledged {
		if _, twice := c.position[e]; !twice {
			c.position[e] = len(c.order[e.Conversation])
			c.order[e.Conversation] = append(c.order[e.Conversation], e)
		}
	}
	verdicts := map[string]Verdict{}
	for sink := range a.Sinks {
		verdicts[sink] = c.sink(sink)
	}
	return verdicts
}

type checker struct {
	Account
	position map[Event]int   // within the conversation
	order    map[int][]Event // of each conversation
	// One event has one id at all sinks, and no two have the same.
	ids    map[Event]string
	events map[string]Event
}

// progress of a conversation at a sink.
type progress struct {
	next     int // the first position that is not dealt with
	answered time.Time
	// again is the position that follows the last one that was dealt with, a repetition or not, and againAnswered when that was.
	again         int
	againAnswered time.Time
	// returned are the accidents for which it went back.
	returned map[int]bool
}

func (c *checker) sink(name string) Verdict {
	v := Verdict{Attempts: len(c.Sinks[name])}
	taken, latest, conversations := map[Event]bool{}, map[Event]Delivery{}, map[int]*progress{}
	for _, d := range c.Sinks[name] {
		if problem := c.strange(d); problem != "" {
			v.problem(&v.Strange, "%v: %s", d.Event, problem)
			continue
		}
		p := conversations[d.Conversation]
		if p == nil {
			p = &progress{returned: map[int]bool{}}
			conversations[d.Conversation] = p
		}
		c.step(&v, name, d, p, latest)
		if d.Taken {
			if c.Dead[name][d.Event] {
				v.problem(&v.Strange, "%v: taken, although the sink refuses it", d.Event)
			}
			taken[d.Event] = true
		}
	}
	v.Taken = len(taken)
	for e := range c.position {
		if !taken[e] && !c.Dead[name][e] {
			v.problem(&v.Lost, "%v: lost", e)
		}
	}
	return v
}

// step judges a delivery's place among those of its conversation. latest are the deliveries that settled an event.
func (c *checker) step(v *Verdict, sink string, d Delivery, p *progress, latest map[Event]Delivery) {
	at, order := c.position[d.Event], c.order[d.Conversation]
	for p.next < at && c.Dead[sink][order[p.next]] {
		p.next++
	}
	switch {
	case at < p.next && latest[d.Event].Arrived.IsZero(): // it was overtaken, which is counted
	case at < p.next:
		if e, excused := c.excuse(sink, latest[d.Event], d); excused {
			v.Repeated++
			v.Reach = max(v.Reach, e.Began.Sub(latest[d.Event].Arrived))
			c.again(v, sink, d, p, latest[d.Event])
		} else {
			v.problem(&v.Unjustified, "%v: repeated %s after it was taken", d.Event, d.Arrived.Sub(latest[d.Event].Answered))
		}
	case at > p.next:
		v.problem(&v.OutOfOrder, "%v: came before %v was dealt with", d.Event, order[p.next])
	case d.Arrived.Before(p.answered):
		v.problem(&v.OutOfOrder, "%v: came before the one ahead of it was answered", d.Event)
	}
	if !d.Taken && !c.Dead[sink][d.Event] {
		return
	}
	latest[d.Event] = d
	if d.Taken && at >= p.next {
		p.next, p.answered = at+1, d.Answered
	}
	p.again, p.againAnswered = at+1, d.Answered
}

// again judges a repetition's place among others: it follows the last delivery, or the conversation goes back, once for each accident.
func (c *checker) again(v *Verdict, sink string, d Delivery, p *progress, earlier Delivery) {
	at, order := c.position[d.Event], c.order[d.Conversation]
	if at < p.again {
		for i, e := range c.Excuses {
			if !p.returned[i] && e.justifies(sink, earlier, d) {
				p.returned[i], p.again, p.againAnswered = true, at, time.Time{}
				return
			}
		}
		v.problem(&v.OutOfOrder, "%v: came again although its conversation had gone back already", d.Event)
		return
	}
	for p.again < at && c.Dead[sink][order[p.again]] {
		p.again++
	}
	switch {
	case at > p.again:
		v.problem(&v.OutOfOrder, "%v: came again before %v did", d.Event, order[p.again])
	case d.Arrived.Before(p.againAnswered):
		v.problem(&v.OutOfOrder, "%v: came again before the one ahead of it was answered", d.Event)
	}
}

func (c *checker) excuse(sink string, earlier, later Delivery) (Excuse, bool) {
	for _, e := range c.Excuses {
		if e.justifies(sink, earlier, later) {
			return e, true
		}
	}
	return Excuse{}, false
}

// strange says why a request should not exist; "" if it should.
func (c *checker) strange(d Delivery) string {
	if d.Problem != "" {
		return d.Problem
	}
	if _, acknowledged := c.position[d.Event]; !acknowledged {
		return "it was never acknowledged"
	}
	if id, known := c.ids[d.Event]; known && id != d.ID {
		return fmt.Sprintf("its id is %q, and was %q", d.ID, id)
	}
	if e, known := c.events[d.ID]; known && e != d.Event {
		return fmt.Sprintf("its id %q is that of %v", d.ID, e)
	}
	c.ids[d.Event], c.events[d.ID] = d.ID, d.Event
	return ""
}
