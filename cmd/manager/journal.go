package main

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// journalCheckedEvery is how long a verdict on the journal counts, whoever asks for it and however often.
const journalCheckedEvery = 10 * time.Second

// journalCheck is a readiness check that fails while the journal cannot be written: no refresh begins then. It is none of liveness, since a
// container that starts anew gets the same volume, and could not even start: the manager would stop telling how its channels are, too.
type journalCheck struct {
	check func() error
	clock clock.PassiveClock

	mu   sync.Mutex // held while the volume is asked
	last time.Time
	err  error
}

func (c *journalCheck) ready(*http.Request) error {
	if !c.mu.TryLock() {
		return errors.New("the journal's volume does not answer")
	}
	defer c.mu.Unlock()
	if now := c.clock.Now(); c.last.IsZero() || now.Sub(c.last) >= journalCheckedEvery {
		c.last, c.err = now, c.check()
	}
	return c.err
}
