package oauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// MemoryUses is Uses for one replica: it forgets with the process, so that a state may be used again after a restart within its ten minutes.
// (Its authorization code works once at TikTok in any case.) It is safe for concurrent use.
type MemoryUses struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	until map[string]time.Time
	sweep int // ids that are over are forgotten once there are so many
}

const (
	firstSweep = 1024
	maxUses    = 1 << 18
)

// NewMemoryUses returns an empty MemoryUses. A nil clock is the real one.
func NewMemoryUses(c clock.PassiveClock) *MemoryUses {
	if c == nil {
		c = clock.RealClock{}
	}
	return &MemoryUses{clock: c, until: map[string]time.Time{}, sweep: firstSweep}
}

// UseOnce implements Uses. The error says that too many ids are remembered.
func (m *MemoryUses) UseOnce(_ context.Context, id string, until time.Time) (bool, error) {
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if end, used := m.until[id]; used && now.Before(end) {
		return false, nil
	}
	if len(m.until) >= m.sweep {
		for id, end := range m.until {
			if !now.Before(end) {
				delete(m.until, id)
			}
		}
		m.sweep = max(firstSweep, 2*len(m.until))
	}
	if len(m.until) >= maxUses {
		return false, errors.New("too many authorizations are under way")
	}
	m.until[id] = until
	return true, nil
}
