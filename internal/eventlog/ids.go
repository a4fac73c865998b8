package eventlog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// bytesPerID is what an id by which the embedded server recognises duplicates takes of its memory at most: 120 bytes in its map, and 64 for
	// each of up to two that have ended, since it clears its list of them when two thirds have. BenchmarkIDs measures the former.
	bytesPerID = 256
	// memoryBeside is what the rest of the process needs of the memory where that is large: then ids may take all else, and half of it at least.
	memoryBeside = 224 << 20
	// promisedShare is how much of that is added for what follows from events that were acknowledged: their jobs, their dead letters, and their
	// way to their channel.
	promisedShare = 8
	// idSteps is in how many steps ids are seen to end, each of them when its newest has.
	idSteps = 32
)

// idGuard refuses events before the ids of those that came fill the memory: they are kept for as long as duplicates are recognised, in the memory of
// the embedded server, which reads them anew when it starts. A process that ended for want of memory would therefore not come up again.
type idGuard struct {
	limit uint64 // of ids; 0 is none
	clock clock.PassiveClock

	mu      sync.Mutex
	streams map[string]*idWindow
}

// idWindow counts the ids of a stream by its sequences, since those of messages that were removed stay in the memory. Those that were removed before
// a restart are counted as well, although they are gone.
type idWindow struct {
	length time.Duration
	ended  uint64   // the sequence of the newest whose id has ended
	steps  []idStep // the oldest first
}

// idStep is a part of the window in which messages were stored.
type idStep struct {
	began   time.Time
	through uint64 // the sequence of its newest
}

// idLimit is how many ids a memory limit allows; 0 means that there is none.
func idLimit(memory int64) uint64 {
	if memory <= 0 {
		return 0
	}
	return uint64(max(memory/2, memory-memoryBeside)) / bytesPerID
}

// countIDs finds out how many ids the embedded server has read anew, and when they end.
func (l *Log) countIDs(ctx context.Context) error {
	g, now := &l.server.ids, l.opts.Clock.Now()
	for _, config := range streamConfigs(&l.opts) {
		if config.Duplicates == 0 {
			continue
		}
		s, err := summarize(ctx, l.conn, config.Name)
		if err != nil {
			return err
		}
		if s == nil {
			return fmt.Errorf("counting the ids of the stream %s: it has gone", config.Name)
		}
		w := &idWindow{length: config.Duplicates, ended: s.Last}
		for i := range idSteps {
			at := now.Add(time.Duration(i)*w.step() - w.length).UTC()
			first, err := l.next(ctx, config.Name, getRequest{StartTime: &at, NextFor: ">"})
			if err != nil {
				return fmt.Errorf("counting the ids of the stream %s: %w", config.Name, err)
			}
			if first == nil {
				break
			}
			if i == 0 {
				w.ended = first.Sequence - 1
			} else {
				w.steps[i-1].through = first.Sequence - 1
			}
			w.steps = append(w.steps, idStep{at, s.Last})
		}
		g.streams[config.Name] = w
	}
	return nil
}

// stored takes note of a message that the server has stored, or recognised.
func (g *idGuard) stored(stream string, sequence uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w := g.streams[stream]; w != nil {
		w.stored(sequence, g.clock.Now())
	}
}

// held is how many ids the server keeps.
func (g *idGuard) held() (n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.streams {
		n += w.held(g.clock.Now())
	}
	return n
}

// room says whether another id has room. What was promised follows from an event that was acknowledged.
func (g *idGuard) room(promised bool) error {
	if g.limit == 0 {
		return nil
	}
	limit := g.limit
	if promised {
		limit += limit / promisedShare
	}
	if held := g.held(); held >= limit {
		return &FullError{
			Reason: fmt.Sprintf("it has %d ids in memory to recognise duplicates by, and the memory limit has room for %d", held, limit),
			Remedy: "raise the memory limit of the webhook container, or use an external NATS server",
		}
	}
	return nil
}

func (w *idWindow) step() time.Duration { return w.length / idSteps }

func (w *idWindow) stored(sequence uint64, now time.Time) {
	if n := len(w.steps); n == 0 || now.Sub(w.steps[n-1].began) >= w.step() {
		w.steps = append(w.steps, idStep{now, w.newest()})
	}
	newest := &w.steps[len(w.steps)-1].through
	*newest = max(*newest, sequence)
}

func (w *idWindow) held(now time.Time) uint64 {
	for len(w.steps) > 0 && now.Sub(w.steps[0].began) >= w.length+w.step() {
		w.ended, w.steps = w.steps[0].through, w.steps[1:]
	}
	return w.newest() - w.ended
}

func (w *idWindow) newest() uint64 {
	if n := len(w.steps); n > 0 {
		return w.steps[n-1].through
	}
	return w.ended
}
