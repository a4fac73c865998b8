package eventlog

import "time"

// WithJobAckWait sets after how long a job counts as abandoned.
func (o Options) WithJobAckWait(d time.Duration) Options {
	o.jobAckWait = d
	return o
}

// WithProcessPatience sets how long a server may be storing one message.
func (o Options) WithProcessPatience(d time.Duration) Options {
	o.processPatience = d
	return o
}

// URL that the log was opened with.
func (l *Log) URL() string { return l.opts.URL }

// DecodeAck and DecodeAckByJSON read a server's answer.
var (
	DecodeAck       = decodeAck
	DecodeAckByJSON = decodeAnyAck
)
