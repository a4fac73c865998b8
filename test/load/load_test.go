package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The API server's metrics are read as what they are: writes of the operator's, by whomever, and nothing else.
func TestOperatorsWrite(t *testing.T) {
	for line, want := range map[string]string{
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="channels.tiktok-operator.io",resource="tiktokchannels",` +
			`scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 389`: "PATCH tiktokchannels/status",
		`apiserver_request_total{code="409",resource="tiktokchannels",subresource="status",verb="PATCH"} 72`: "PATCH tiktokchannels/status (refused: 409)",
		`apiserver_request_total{code="200",resource="secrets",subresource="",verb="PUT"} 1.2e+06`:           "PUT secrets",
		`apiserver_request_total{code="201",resource="events",subresource="",verb="POST"} 1`:                 "POST events",
		`apiserver_request_total{code="201",resource="leases",subresource="",verb="POST"} 1`:                 "POST leases",
		`apiserver_request_total{code="200",resource="leases",subresource="",verb="PUT"} 1`:                  "", // kube-apiserver's own
		`apiserver_request_total{code="200",resource="secrets",subresource="",verb="GET"} 1`:                 "",
		`apiserver_request_total{code="200",resource="configmaps",subresource="",verb="PUT"} 1`:              "",
	} {
		m := requestLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not recognised: %s", line)
		} else if got := operatorsWrite(labels(m[1])); got != want {
			t.Errorf("%s is %q, want %q", line, got, want)
		}
	}
}

func TestNumberOf(t *testing.T) {
	for text, want := range map[string]int{
		string(message(123456789)): 123456789, `{"a":[1,2,3],"b":"[000000007] hi"}`: 7, "[00000000x] [000000012]": 12, "[": -1, "": -1, "[12345678": -1,
	} {
		if got := numberOf([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// A sink notices an event that overtakes another of its conversation, and takes no repetition for one.
func TestOutOfOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		numbers []int
		wrong   int
	}{
		"in order":            {[]int{0, 1, conversations, conversations + 1, 2 * conversations}, 0},
		"other conversations": {[]int{conversations, 1, 0 + 2}, 0},
		"overtaken":           {[]int{conversations, 1, 0, 2 * conversations}, 1},
		"repeated":            {[]int{0, conversations, 0, 2 * conversations}, 0},
	} {
		sink := &countingSink{distinct: map[int]bool{}}
		for _, n := range tc.numbers {
			sink.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(message(n))))
		}
		if got := sink.outOfOrder(); got != tc.wrong {
			t.Errorf("%s: %d, want %d", name, got, tc.wrong)
		}
		if deliveries, _ := sink.received(); deliveries != len(tc.numbers) {
			t.Errorf("%s: %d deliveries, want %d", name, deliveries, len(tc.numbers))
		}
	}
}

// A missed budget is printed and is no failure; a failed check is one.
func TestReport(t *testing.T) {
	r := newReport()
	r.add(atMost("memory", 200, 150, " MiB"), atMost("calls", 0, 0, ""))
	r.check(true, "never said")
	if err := r.failure(); err != nil {
		t.Errorf("a budget that is not met fails: %v", err)
	}
	r.check(false, "%d lost", 3)
	if err := r.failure(); err == nil || err.Error() != "3 lost" {
		t.Errorf("error %v, want that 3 are lost", err)
	}
	var out strings.Builder
	r.print(&out)
	for _, want := range []string{"200 MiB", "≤ 150 MiB", "NO", "yes", "WRONG: 3 lost"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"deliver", "-events", "5", "accept", "-round=1s"})
	if err != nil || strings.Join(o.suites, " ") != "deliver accept" || o.events != 5 || o.round.Seconds() != 1 {
		t.Errorf("options %+v, error %v", o, err)
	}
	if o, err = parse(nil); err != nil || len(o.suites) != len(suites) {
		t.Errorf("no name means all suites: %+v, error %v", o, err)
	}
	for _, args := range [][]string{{"chanels"}, {"-channels=0"}, {"-rate=5000"}, {"-rounds=0"}, {"-backlog-channels=10001"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

// parallel does everything once, and stops at the first error.
func TestParallel(t *testing.T) {
	done := make([]int, 500)
	if err := parallel(t.Context(), len(done), func(_ context.Context, i int) error { done[i]++; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, n := range done {
		if n != 1 {
			t.Fatalf("%d was done %d times", i, n)
		}
	}
	if err := parallel(t.Context(), 100, func(_ context.Context, i int) error {
		if i == 7 {
			return http.ErrAbortHandler
		}
		return nil
	}); !errors.Is(err, http.ErrAbortHandler) {
		t.Errorf("error %v", err)
	}
}
