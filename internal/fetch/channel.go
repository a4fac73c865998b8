package fetch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// maxRead bounds what is remembered of a channel's conversations.
const maxRead = 1000

// channel is what this process knows of a channel. All of it may be forgotten: it only saves calls.
type channel struct {
	// turn is held by the pass that is under way: one at a time.
	turn chan struct{}
	// begun counts passes.
	begun atomic.Int64

	// What follows belongs to the holder of turn.

	// done is the last pass that came to its end.
	done struct {
		number int64
		floor  time.Time
	}
	// newest is the time of the newest message of a user that was seen.
	newest time.Time
	// refused is the digest of an access token that TikTok refused.
	refused string
	// read are the conversations whose messages were read, with their time of change then.
	read map[string]time.Time
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
		ch = &channel{turn: make(chan struct{}, 1), read: map[string]time.Time{}}
		c.byUID[uid] = ch
	}
	return ch
}

func (c *channels) forget(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byUID, uid)
}

// enter waits for the turn. arrived is the number of passes that had begun before.
func (c *channel) enter(ctx context.Context) (arrived int64, err error) {
	arrived = c.begun.Load()
	select {
	case c.turn <- struct{}{}:
		return arrived, nil
	case <-ctx.Done():
		return arrived, ctx.Err()
	}
}

func (c *channel) leave() { <-c.turn }

// covered says whether a pass that began after the arrival found what a job looks for: its event was known to TikTok when that pass began.
func (c *channel) covered(arrived int64, j wanted) bool {
	return c.done.number > arrived && !c.done.floor.After(j.floor) && c.found(j)
}

// found says whether a message was seen that is as new as the event.
func (c *channel) found(j wanted) bool { return !c.newest.Before(j.at.Add(-foundMargin)) }

func (c *channel) saw(at time.Time) {
	if at.After(c.newest) {
		c.newest = at
	}
}

func (c *channel) remember(conversation string, changed time.Time) {
	if len(c.read) >= maxRead {
		clear(c.read)
	}
	c.read[conversation] = changed
}
