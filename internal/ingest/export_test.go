package ingest

import "time"

// RecheckEvery sets how often it is looked for events that were left.
func (r *Router) RecheckEvery(d time.Duration) { r.recheck = d }
