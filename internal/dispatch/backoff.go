package dispatch

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a sink may ask for with Retry-After.
const maxRetryAfter = time.Hour

// backoff is the wait after a number of failures in a row: it doubles from minimum to maximum, spread by up to a half so that sinks which
// failed together do not come back together. random is in [0, 1). A sink's own Retry-After lengthens it.
func backoff(failures int, minimum, maximum, retryAfter time.Duration, random float64) time.Duration {
	base := float64(minimum) * math.Pow(2, float64(max(failures, 1)-1))
	upper := min(base*1.5, float64(maximum))
	lower := max(upper*2/3, float64(minimum))
	wait := time.Duration(lower + random*max(upper-lower, 0))
	return max(wait, min(retryAfter, maxRetryAfter))
}

// retryAfterOf reads Retry-After, in seconds or as a date; 0 if there is none.
func retryAfterOf(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
