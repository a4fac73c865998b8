package inbound

import (
	"fmt"
	"testing"
	"time"
)

// The checker finds each fault that it is there to find, and takes none for one that is not.
func TestCheck(t *testing.T) {
	start := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	// d is a delivery that arrives at a second, and is answered half of one later.
	d := func(at, conversation, number int, change ...func(*Delivery)) Delivery {
		d := Delivery{
			Event: Event{conversation, number}, ID: fmt.Sprintf("%d-%d", conversation, number), Arrived: second(at),
			Answered: second(at).Add(time.Second / 2), Taken: true,
		}
		for _, f := range change {
			f(&d)
		}
		return d
	}
	refused := func(d *Delivery) { d.Taken = false }
	named := func(id string) func(*Delivery) { return func(d *Delivery) { d.ID = id } }
	events := func(pairs ...int) (list []Event) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, Event{pairs[i], pairs[i+1]})
		}
		return list
	}
	cut := func(from, began, over int) []Excuse {
		return []Excuse{{From: second(from), Began: second(began), Over: second(over), Meanwhile: true}}
	}
	crash := func(sink string, from, to int) []Excuse {
		return []Excuse{{Sink: sink, From: second(from), Began: second(to), Over: second(to)}}
	}
	type list = []Delivery
	abc := events(0, 0, 0, 1, 0, 2)
	dead := map[string]map[Event]bool{"a": {Event{0, 1}: true}}
	for name, tc := range map[string]struct {
		account Account
		want    Verdict
	}{
		"in order":                {Account{Acknowledged: abc, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(3, 0, 2)}}}, Verdict{Attempts: 3, Taken: 3}},
		"conversations mixed":     {Account{Acknowledged: events(0, 0, 1, 0, 0, 1), Sinks: map[string]list{"a": {d(1, 1, 0), d(1, 0, 0), d(2, 0, 1)}}}, Verdict{Attempts: 3, Taken: 3}},
		"in order of the answers": {Account{Acknowledged: events(0, 1, 0, 0), Sinks: map[string]list{"a": {d(1, 0, 1), d(2, 0, 0)}}}, Verdict{Attempts: 2, Taken: 2}},
		"nothing delivered":       {Account{Acknowledged: abc, Sinks: map[string]list{"a": nil}}, Verdict{Lost: 3}},
		"the last lost":           {Account{Acknowledged: abc, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1)}}}, Verdict{Attempts: 2, Taken: 2, Lost: 1}},
		"refused is not taken":    {Account{Acknowledged: events(0, 0), Sinks: map[string]list{"a": {d(1, 0, 0, refused)}}}, Verdict{Attempts: 1, Lost: 1}},
		"tried again":             {Account{Acknowledged: abc, Sinks: map[string]list{"a": {d(1, 0, 0, refused), d(2, 0, 0), d(3, 0, 1), d(4, 0, 2)}}}, Verdict{Attempts: 4, Taken: 3}},
		"one in the midst lost":   {Account{Acknowledged: abc, Sinks: map[string]list{"a": {d(1, 0, 0), d(3, 0, 2)}}}, Verdict{Attempts: 2, Taken: 2, Lost: 1, OutOfOrder: 1}},
		"overtaken":               {Account{Acknowledged: abc, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 2), d(3, 0, 1)}}}, Verdict{Attempts: 3, Taken: 3, OutOfOrder: 1}},
		"tried too early":         {Account{Acknowledged: events(0, 0, 0, 1), Sinks: map[string]list{"a": {d(1, 0, 0, refused), d(2, 0, 1, refused), d(3, 0, 0), d(4, 0, 1)}}}, Verdict{Attempts: 4, Taken: 2, OutOfOrder: 1}},
		"side by side":            {Account{Acknowledged: events(0, 0, 0, 1), Sinks: map[string]list{"a": {d(1, 0, 0), d(1, 0, 1)}}}, Verdict{Attempts: 2, Taken: 2, OutOfOrder: 1}},
		"repeated":                {Account{Acknowledged: events(0, 0), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"repeated after a crash": {
			Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(5, 0, 0), d(6, 0, 1), d(7, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: 3 * time.Second},
		},
		"repeated from too long ago":  {Account{Acknowledged: events(0, 0), Excuses: crash("", 2, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"repeated before the crash":   {Account{Acknowledged: events(0, 0), Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(3, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"taken after the crash":       {Account{Acknowledged: events(0, 0), Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(5, 0, 0), d(6, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"repeated again, nothing new": {Account{Acknowledged: events(0, 0), Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 0), d(6, 0, 0)}}}, Verdict{Attempts: 3, Taken: 1, Repeated: 1, Unjustified: 1, Reach: 3 * time.Second}},
		"repeated, and goes on": {
			Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(5, 0, 1, refused), d(6, 0, 1), d(7, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: 2 * time.Second},
		},
		"repeated backwards": {
			Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(5, 0, 1), d(6, 0, 0), d(7, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: 3 * time.Second, OutOfOrder: 1},
		},
		"repeated but for one": {
			Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(3, 0, 2), d(5, 0, 0), d(6, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: 3 * time.Second, OutOfOrder: 1},
		},
		"repeated side by side": {
			Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(5, 0, 0), d(5, 0, 1), d(6, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: 3 * time.Second, OutOfOrder: 1},
		},
		"repeated after each of two crashes": {
			Account{Acknowledged: abc, Excuses: append(crash("", 1, 4), crash("", 4, 6)...), Sinks: map[string]list{"a": {d(3, 0, 0), d(5, 0, 0), d(7, 0, 0), d(8, 0, 1), d(9, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: time.Second},
		},
		"repeated but for a dead letter": {
			Account{Acknowledged: abc, Dead: dead, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1, refused), d(3, 0, 2), d(5, 0, 0), d(6, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 2, Repeated: 2, Reach: 3 * time.Second},
		},
		"taken over meanwhile": {
			Account{Acknowledged: abc, Excuses: cut(1, 2, 9), Sinks: map[string]list{"a": {d(1, 0, 0), d(3, 0, 1), d(5, 0, 0), d(6, 0, 1), d(7, 0, 2)}}},
			Verdict{Attempts: 5, Taken: 3, Repeated: 2, Reach: time.Second},
		},
		"taken over twice": {
			Account{Acknowledged: events(0, 0), Excuses: cut(1, 2, 9), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 0), d(6, 0, 0)}}},
			Verdict{Attempts: 3, Taken: 1, Repeated: 2, OutOfOrder: 1, Reach: time.Second},
		},
		"repeated before the cut":       {Account{Acknowledged: events(0, 0), Excuses: cut(1, 5, 9), Sinks: map[string]list{"a": {d(1, 0, 0), d(4, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"on its way at the crash":       {Account{Acknowledged: events(0, 0), Excuses: []Excuse{{From: second(0), Over: second(1).Add(-time.Second / 4)}}, Sinks: map[string]list{"a": {d(1, 0, 0), d(3, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Repeated: 1}},
		"another sink's accident":       {Account{Acknowledged: events(0, 0), Excuses: crash("b", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 0)}}}, Verdict{Attempts: 2, Taken: 1, Unjustified: 1}},
		"a crash excuses no disorder":   {Account{Acknowledged: abc, Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 2), d(6, 0, 1)}}}, Verdict{Attempts: 3, Taken: 3, OutOfOrder: 1}},
		"refused for good":              {Account{Acknowledged: abc, Dead: dead, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1, refused), d(3, 0, 2)}}}, Verdict{Attempts: 3, Taken: 2}},
		"refused for good, and taken":   {Account{Acknowledged: abc, Dead: dead, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1), d(3, 0, 2)}}}, Verdict{Attempts: 3, Taken: 3, Strange: 1}},
		"refused for good, tried again": {Account{Acknowledged: abc, Dead: dead, Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1, refused), d(3, 0, 2), d(4, 0, 1, refused)}}}, Verdict{Attempts: 4, Taken: 2, Unjustified: 1}},
		"never sent":                    {Account{Acknowledged: events(0, 0), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1)}}}, Verdict{Attempts: 2, Taken: 1, Strange: 1}},
		"malformed":                     {Account{Acknowledged: events(0, 0), Sinks: map[string]list{"a": {d(1, 0, 0, func(d *Delivery) { d.Problem = "no type" })}}}, Verdict{Attempts: 1, Lost: 1, Strange: 1}},
		"another id":                    {Account{Acknowledged: events(0, 0), Excuses: crash("", 1, 4), Sinks: map[string]list{"a": {d(1, 0, 0), d(5, 0, 0, named("x"))}}}, Verdict{Attempts: 2, Taken: 1, Strange: 1}},
		"another's id":                  {Account{Acknowledged: events(0, 0, 0, 1), Sinks: map[string]list{"a": {d(1, 0, 0), d(2, 0, 1, named("0-0"))}}}, Verdict{Attempts: 2, Taken: 1, Lost: 1, Strange: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Check(tc.account)["a"]
			if got.OK() != (len(got.Problems) == 0) {
				t.Errorf("it is OK: %v, and its problems are %q", got.OK(), got.Problems)
			}
			problems := got.Problems
			got.Problems = nil
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got  %+v\nwant %+v\n%q", got, tc.want, problems)
			}
		})
	}
}

// An event has the same id at all sinks.
func TestCheckComparesSinks(t *testing.T) {
	at := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	one := func(id string) []Delivery { return []Delivery{{ID: id, Arrived: at, Answered: at, Taken: true}} }
	verdicts := Check(Account{Acknowledged: []Event{{}}, Sinks: map[string][]Delivery{"a": one("x"), "b": one("y")}})
	if verdicts["a"].Strange+verdicts["b"].Strange != 1 {
		t.Errorf("two ids of one event were not noticed: %+v", verdicts)
	}
	if verdicts = Check(Account{Acknowledged: []Event{{}}, Sinks: map[string][]Delivery{"a": one("x"), "b": nil}}); !verdicts["a"].OK() || verdicts["b"].Lost != 1 {
		t.Errorf("an event that reached one sink of two: %+v", verdicts)
	}
}
