package eventlog

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	diskCheckInterval = 250 * time.Millisecond
	// On a small volume the reserve is this share of it at most.
	diskReserveShare = 20
)

// diskGuard refuses events before the disk is full. A server that runs into a full disk stops storing until it is restarted; one that is kept
// from it goes on by itself when there is room again.
type diskGuard struct {
	dir     string
	minFree uint64
	clock   clock.PassiveClock

	mu      sync.Mutex
	checked time.Time
	last    error
}

func (g *diskGuard) check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	if age := now.Sub(g.checked); age >= 0 && age < diskCheckInterval {
		return g.last
	}
	g.checked = now
	g.last = g.measure()
	return g.last
}

func (g *diskGuard) measure() error {
	free, reserve, err := g.space()
	if err != nil {
		return err
	}
	if free < reserve {
		return &FullError{Reason: fmt.Sprintf("%d MiB are left on the disk, %d MiB are kept free", free>>20, reserve>>20)}
	}
	return nil
}

// left is how many bytes may still be stored.
func (g *diskGuard) left() (uint64, error) {
	free, reserve, err := g.space()
	return free - min(free, reserve), err
}

// space is what is free on the disk, and what of it is kept free.
func (g *diskGuard) space() (free, reserve uint64, err error) {
	free, total, err := diskSpace(g.dir)
	if err != nil {
		return 0, 0, &UnavailableError{Doing: "measuring the free disk space", Err: err}
	}
	return free, min(g.minFree, total/diskReserveShare), nil
}
