package inbound

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Row is what came of one fault.
type Row struct {
	Fault                 string
	Events, Conversations int
	// Acknowledged events, and how many of them were sent and acknowledged once more.
	Acknowledged, Again int
	// Refused attempts by status; 0 stands for no answer.
	Refused map[int]int
	// Unanswered is why the first attempt without an answer had none.
	Unanswered error
	// Sinks by name.
	Sinks map[string]Verdict
	// Dead are the dead letters of each sink.
	Dead map[string]int
	// Slowest is the 99th percentile of the time to an answer, whatever it was.
	Slowest, Took time.Duration
	// Notes are sentences about the run.
	Notes []string
	// allowed are the statuses that may be among Refused.
	allowed []int
}

// row settles the account.
func (s *scene) row(f Fault, took time.Duration) Row {
	account := Account{Acknowledged: slices.Clone(s.sender.acknowledged), Sinks: map[string][]Delivery{}, Dead: s.dead, Excuses: s.excuses}
	dead := map[string]int{}
	for _, to := range s.sinks() {
		account.Sinks[to.name] = to.received()
		dead[to.name] = len(s.dead[to.name])
	}
	verdicts, reach := Check(account), time.Duration(0)
	for _, v := range verdicts {
		reach = max(reach, v.Reach)
	}
	if reach > 0 {
		s.note("what was repeated had been delivered %s before the accident at most", reach.Round(time.Millisecond))
	}
	if f.replicas > 1 {
		s.note("an event was acknowledged %s after it was first sent at most, and first arrived %s after that at most",
			s.sender.longest.Round(time.Millisecond), s.slowestArrival().Round(time.Millisecond))
	}
	s.sender.mu.Lock()
	again, refused, unanswered := s.sender.repeated, maps.Clone(s.sender.refused), s.sender.unanswered
	s.sender.mu.Unlock()
	return Row{
		Fault: f.Name, Events: s.o.Events, Conversations: s.o.Conversations, Acknowledged: len(account.Acknowledged), Again: again, Refused: refused,
		Unanswered: unanswered, Sinks: verdicts, Dead: dead, Slowest: s.sender.slowest(), Took: took,
		allowed: append([]int{http.StatusServiceUnavailable}, f.refusals...),
	}
}

// slowestArrival is the longest time from an event's acknowledgement to its first arrival at a sink.
func (s *scene) slowestArrival() (slowest time.Duration) {
	for _, to := range s.sinks() {
		first := map[Event]time.Time{}
		for _, d := range to.received() {
			if _, known := first[d.Event]; !known {
				first[d.Event] = d.Arrived
			}
		}
		for i, e := range s.sender.acknowledged {
			if at, arrived := first[e]; arrived {
				slowest = max(slowest, at.Sub(s.sender.stored[i]))
			}
		}
	}
	return slowest
}

// Err says what must not be; nil if all is well. Slowness never is an error.
func (r Row) Err() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.Sinks)) {
		if v := r.Sinks[name]; !v.OK() {
			errs = append(errs, fmt.Errorf("%s, sink %s: %d lost, %d out of order, %d repeated without a reason, %d strange: %s",
				r.Fault, name, v.Lost, v.OutOfOrder, v.Unjustified, v.Strange, strings.Join(v.Problems, "; ")))
		}
	}
	for _, status := range slices.Sorted(maps.Keys(r.Refused)) {
		if status == noAnswer && !slices.Contains(r.allowed, noAnswer) {
			errs = append(errs, fmt.Errorf("%s: %d webhooks were not answered, which is not to be; the first: %w", r.Fault, r.Refused[status], r.Unanswered))
		} else if !slices.Contains(r.allowed, status) {
			errs = append(errs, fmt.Errorf("%s: %d webhooks were answered %d, which is not to be", r.Fault, r.Refused[status], status))
		}
	}
	if r.Acknowledged != r.Events {
		errs = append(errs, fmt.Errorf("%s: %d of %d events were acknowledged in the end", r.Fault, r.Acknowledged, r.Events))
	}
	return errors.Join(errs...)
}

// Markdown writes rows as a table, and their notes below it. A cell with two numbers is of the steady sink and the troubled one.
func Markdown(rows []Row) string {
	var b strings.Builder
	b.WriteString("| fault | events (conversations) | acknowledged (again) | refused | taken | repeated, justified | repeated, unjustified " +
		"| out of order | lost | dead letters | p99 answer | time |\n" + strings.Repeat("| --- ", 12) + "|\n")
	for _, r := range rows {
		both := func(of func(Verdict) int) string {
			return fmt.Sprintf("%d + %d", of(r.Sinks["steady"]), of(r.Sinks["troubled"]))
		}
		sum := func(of func(Verdict) int) int { return of(r.Sinks["steady"]) + of(r.Sinks["troubled"]) }
		fmt.Fprintf(&b, "| %s | %d (%d) | %d (%d) | %s | %s | %s | %d | %d | %d | %d | %s | %s |\n", r.Fault, r.Events, r.Conversations,
			r.Acknowledged, r.Again, refusals(r.Refused), both(func(v Verdict) int { return v.Taken }),
			both(func(v Verdict) int { return v.Repeated }), sum(func(v Verdict) int { return v.Unjustified }),
			sum(func(v Verdict) int { return v.OutOfOrder + v.Strange }), sum(func(v Verdict) int { return v.Lost }),
			r.Dead["steady"]+r.Dead["troubled"], r.Slowest.Round(time.Millisecond), r.Took.Round(time.Second))
	}
	for _, r := range rows {
		for _, note := range r.Notes {
			fmt.Fprintf(&b, "\n- %s: %s", r.Fault, note)
		}
	}
	return b.String()
}

func refusals(byStatus map[int]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		if status == noAnswer {
			parts = append(parts, fmt.Sprintf("%d × no answer", byStatus[status]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d × %d", byStatus[status], status))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
