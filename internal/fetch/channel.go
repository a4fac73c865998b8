package fetch

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxRead and maxSeen bound what is remembered of a channel's conversations, and of their messages.
	maxRead, maxSeen = 1000, 5000
	// A job that finds another at work on its channel comes back after a while: later the more of them there are.
	comeBackAfter, comeBackEach, comeBackMax = 500 * time.Millisecond, 50 * time.Millisecond, 30 * time.Second
)

// channel is what this process knows of a channel. All of it may be forgotten: it only saves calls, and attempts.
type channel struct {
	// turn is held by the job that is under way: one at a time.
	turn chan struct{}
	// turnedAway counts those that came meanwhile.
	turnedAway atomic.Int64
	// begun counts passes.
	begun atomic.Int64

	// What follows belongs to the holder of turn.

	// done is the last pass that came to its end.
	done struct {
		number int64
		begun  time.Time
		floor  time.Time
		// incomplete says that TikTok did not show all that may be new.
		incomplete bool
	}
	// seen are the users' messages that no webhook brought, by the ids of their events.
	seen map[string]seen
	// cut is the time of the newest message before which others may be missing, because TikTok shows only so many.
	cut time.Time
	// missed are the times of messages that were looked for in vain: what is listed late is listed with the time that it should have had.
	missed []time.Time
	// lagLooked is when they were looked for last, in conversations that did not change since.
	lagLooked time.Time
	// first is when the channel's first known event without its message was; zero if that was not looked up yet.
	first time.Time
	// refused is the digest of an access token that TikTok refused.
	refused string
	// read are the conversations whose messages were read.
	read map[string]reading
}

// reading is how a conversation was read.
type reading struct {
	// changed is its time of change then.
	changed time.Time
	// floor is the time from which on messages were looked for.
	floor time.Time
}

// channels are those that have had jobs, by UID.
type channels struct {
	mu    sync.Mutex
	byUID map[string]*channel
}

func (c *channels) get(uid string) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byUID == nil {
		c.byUID = map[string]*channel{}
	}
	ch := c.byUID[uid]
	if ch == nil {
		ch = &channel{turn: make(chan struct{}, 1), read: map[string]reading{}, seen: map[string]seen{}}
		c.byUID[uid] = ch
	}
	return ch
}

func (c *channels) forget(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byUID, uid)
}

// enter takes the turn, if nobody has it. Else the job is to come back: it must not wait here in a place that other channels' jobs need.
func (c *channel) enter() (entered bool, comeBack time.Duration) {
	select {
	case c.turn <- struct{}{}:
		return true, 0
	default:
		return false, min(comeBackAfter+time.Duration(c.turnedAway.Add(1))*comeBackEach, comeBackMax)
	}
}

func (c *channel) leave() {
	c.turnedAway.Store(0)
	<-c.turn
}

// covered says whether another job's pass will do for this attempt: one that began after the job came or, if it was looked for before, in the
// second half of the time since.
func (c *channel) covered(t try, w wanted, now time.Time) bool {
	if c.done.number <= t.passes || c.done.floor.After(w.floor) {
		return false
	}
	return t.looks == 0 || now.Sub(c.done.begun) <= t.delay()/2
}

// saw remembers a message, and whose conversation it is in.
func (c *channel) saw(id string, m seen) {
	if len(c.seen) >= maxSeen {
		clear(c.seen)
		clear(c.read) // to see them again
	}
	c.seen[id] = m
}

func (c *channel) remember(conversation string, r reading) {
	if len(c.read) >= maxRead {
		clear(c.read)
	}
	c.read[conversation] = r
}

// miss notes that a message was looked for in vain.
func (c *channel) miss(at, now time.Time) {
	c.missedSince(now)
	if len(c.missed) < maxRead {
		c.missed = append(c.missed, at)
	}
}

// missedSince is the oldest time of a message that was looked for in vain and may still be listed; zero if there is none.
func (c *channel) missedSince(now time.Time) (oldest time.Time) {
	kept := c.missed[:0]
	for _, at := range c.missed {
		if now.Sub(at) > maxLag {
			continue
		}
		if kept = append(kept, at); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	c.missed = kept
	return oldest
}
