package eventlog

import (
	"errors"
	"time"
)

// ErrRenewed says that the streams were lost with their server, and made anew: positions of before mean nothing any more.
var ErrRenewed = errors.New("the event log was lost and made anew")

// Epoch names the log that there is. It is another number once an external server has lost the events and begins anew. Positions belong to
// the log in which they were found.
func (l *Log) Epoch() int64 {
	epoch, _ := l.watchEpoch()
	return epoch
}

// watchEpoch also returns what is closed when the epoch ends.
func (l *Log) watchEpoch() (epoch int64, ended <-chan struct{}) {
	l.epochMu.Lock()
	defer l.epochMu.Unlock()
	return l.epoch, l.epochEnded
}

// setEpoch takes note of when the stream of events was created, and says whether that is news.
func (l *Log) setEpoch(created time.Time) (renewed bool) {
	l.epochMu.Lock()
	defer l.epochMu.Unlock()
	epoch := created.UnixNano()
	if l.epoch == epoch {
		return false
	}
	renewed = l.epoch != 0
	if renewed {
		close(l.epochEnded)
	}
	l.epoch, l.epochEnded = epoch, make(chan struct{})
	return renewed
}
