package ingest

import (
	"time"

	"k8s.io/utils/clock"
)

// RecheckEvery sets how often it is looked for events that were left.
func (r *Router) RecheckEvery(d time.Duration) { r.recheck = d }

// UseClock sets the clock.
func (r *Router) UseClock(c clock.PassiveClock) { r.clock = c }
