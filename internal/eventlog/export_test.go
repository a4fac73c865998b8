package eventlog

import "time"

// WithJobAckWait sets after how long a job counts as abandoned.
func (o Options) WithJobAckWait(d time.Duration) Options {
	o.jobAckWait = d
	return o
}
