package dispatch

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a sink may ask for with Retry-After.
const maxRetryAfter = time.Hour

// backoff is the wait after a number of failures in a row: it doubles from minimum to maximum, spread by up to a half so that sinks which
// failed together do not come back together. random is in [0, 1). A sink's own Retry-After lengthens it (retryAfterOf).
func backoff(failures int, minimum, maximum, retryAfter time.Duration, random float64) time.Duration {
	base := float64(minimum) * math.Pow(2, float64(max(failures, 1)-1))
	upper := min(base*1.5, float64(maximum))
	lower := max(upper*2/3, float64(minimum))
	wait := time.Duration(lower + random*max(upper-lower, 0))
	return max(wait, retryAfter)
}

// retryAfterOf reads Retry-After, in seconds or as a date, up to maxRetryAfter; 0 if there is none.
func retryAfterOf(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // out of range is the nearest number
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
