package fetch

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestAccounted: no message is that of two events, and what is doubtful counts only where it may.
func TestAccounted(t *testing.T) {
	base := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	for name, tc := range map[string]struct {
		events    map[string]int // by id, in milliseconds
		messages  []int
		elsewhere []int
		how       strictness
		want      string
	}{
		"nothing":                          {events: map[string]int{"a": 0}, how: anyhow, want: "[]"},
		"its own":                          {events: map[string]int{"a": 0}, messages: []int{0}, want: "[a]"},
		"another's":                        {events: map[string]int{"a": 0, "b": 900}, messages: []int{900}, want: "[b]"},
		"another's, later":                 {events: map[string]int{"a": 0, "b": 900}, messages: []int{900}, how: anyhow, want: "[b]"},
		"both":                             {events: map[string]int{"a": 0, "b": 900}, messages: []int{900, 0}, want: "[a b]"},
		"about the time, too early to say": {events: map[string]int{"a": 0}, messages: []int{1}, want: "[]"},
		"about the time":                   {events: map[string]int{"a": 0}, messages: []int{1}, how: nearly, want: "[a]"},
		"a message before":                 {events: map[string]int{"a": 5000}, messages: []int{3000}, how: nearly, want: "[a]"},
		"long before":                      {events: map[string]int{"a": 5000}, messages: []int{2999}, how: anyhow, want: "[]"},
		"long after":                       {events: map[string]int{"a": 5000}, messages: []int{7001}, how: anyhow, want: "[]"},
		"one for two":                      {events: map[string]int{"a": 0, "b": 10}, messages: []int{5}, how: nearly, want: "[a]"},
		"a chain":                          {events: map[string]int{"a": 0, "b": 1900, "c": 3800}, messages: []int{1800, 3700, 5700}, how: nearly, want: "[a b c]"},
		"the very times first":             {events: map[string]int{"a": 0, "b": 1, "c": 2}, messages: []int{1, 2}, how: anyhow, want: "[b c]"},
		"of a user from elsewhere":         {events: map[string]int{"a": 0}, elsewhere: []int{1}, how: nearly, want: "[]"},
		"who may have moved":               {events: map[string]int{"a": 0}, elsewhere: []int{1}, how: anyhow, want: "[a]"},
		"who has moved":                    {events: map[string]int{"a": 0}, elsewhere: []int{0}, want: "[a]"},
		"two of one time, a message":       {events: map[string]int{"a": 0, "b": 0}, messages: []int{0}, how: anyhow, want: "[a]"},
	} {
		var events []wanted
		for id, ms := range tc.events { // in any order
			events = append(events, wanted{id: id, at: at(ms), from: at(ms).Add(-foundMargin)})
		}
		var messages []seen
		for _, ms := range tc.messages {
			messages = append(messages, seen{at: at(ms)})
		}
		for _, ms := range tc.elsewhere {
			messages = append(messages, seen{at: at(ms), elsewhere: true})
		}
		if got := fmt.Sprint(slices.Sorted(maps.Keys(accounted(events, messages, tc.how)))); got != tc.want {
			t.Errorf("%s: found those of %s, want %s", name, got, tc.want)
		}
	}
}
