package dispatch

import (
	"net/http"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		failures                int
		minimum, maximum, asked time.Duration
		lowest, highest         time.Duration
	}{
		"first":              {1, time.Second, 5 * time.Minute, 0, time.Second, 1500 * time.Millisecond},
		"doubled":            {4, time.Second, 5 * time.Minute, 0, 8 * time.Second, 12 * time.Second},
		"capped":             {100, time.Second, 5 * time.Minute, 0, 200 * time.Second, 5 * time.Minute},
		"beyond all numbers": {1 << 30, time.Second, 5 * time.Minute, 0, 200 * time.Second, 5 * time.Minute},
		"no room":            {7, time.Minute, time.Minute, 0, time.Minute, time.Minute},
		"the sink asks":      {1, time.Second, 5 * time.Minute, 20 * time.Second, 20 * time.Second, 20 * time.Second},
		"asks for less":      {6, time.Second, 5 * time.Minute, time.Second, 32 * time.Second, 48 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			low := backoff(tc.failures, tc.minimum, tc.maximum, tc.asked, 0)
			high := backoff(tc.failures, tc.minimum, tc.maximum, tc.asked, 0.9999999)
			if low != tc.lowest || high > tc.highest || high < tc.highest-time.Millisecond {
				t.Fatalf("got %s to %s, want %s to %s", low, high, tc.lowest, tc.highest)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, " 7 ": 7 * time.Second, "-5": 0, "soon": 0, "1.5": 0,
		"3601": time.Hour, "99999999999999": time.Hour, "99999999999999999999": time.Hour, "-99999999999999999999": 0,
		"Sat, 01 Aug 2026 10:01:00 GMT": time.Minute, "Sat, 01 Aug 2026 09:00:00 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": time.Hour,
	} {
		if got := retryAfterOf(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
