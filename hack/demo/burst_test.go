package main

import (
	"fmt"
	"testing"
)

// The demo's sink tells order from disorder, and takes a repetition for neither.
func TestArrivals(t *testing.T) {
	type message struct{ n, user int }
	for name, tc := range map[string]struct {
		messages                      []message
		different, repeated, overtook int
	}{
		"in order":           {[]message{{0, 1}, {0, 2}, {1, 2}, {1, 1}}, 4, 0, 0},
		"repeated":           {[]message{{0, 1}, {1, 1}, {0, 1}, {1, 1}, {2, 1}}, 3, 2, 0},
		"overtaken":          {[]message{{0, 1}, {2, 1}, {1, 1}}, 3, 0, 2},
		"the first one late": {[]message{{1, 1}, {0, 1}}, 2, 0, 2},
		"left out":           {[]message{{0, 1}, {2, 1}}, 2, 0, 1},
	} {
		a := &arrivals{ids: map[string]bool{}}
		for _, m := range tc.messages {
			if !a.take(fmt.Sprint(m), fmt.Sprintf(burstText, m.n, m.user)) {
				t.Errorf("%s: %v was not taken for one of the burst", name, m)
			}
		}
		if messages, repeated, overtaken := a.count(); messages != tc.different || repeated != tc.repeated || overtaken != tc.overtook {
			t.Errorf("%s: %d messages, %d repeated, %d out of order", name, messages, repeated, overtaken)
		}
	}
	a := &arrivals{ids: map[string]bool{}}
	for _, text := range []string{"", "Is this still available?", "burst: message x of user 1", "burst: message 1 of user 50"} {
		if a.take("id", text) {
			t.Errorf("%q was taken for one of the burst", text)
		}
	}
}
