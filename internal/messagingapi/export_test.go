package messagingapi

import "time"

// SetPatience says how long a client of a stream may take nothing.
func (s *Streams) SetPatience(d time.Duration) { s.patience = d }
