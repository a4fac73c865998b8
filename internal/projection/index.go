package projection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/utils/lru"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// keepChannels is of how many channels the conversations are kept in memory: those that were looked at last.
	keepChannels = 100
	// maxConversations of a channel can be listed: those with the newest events. With keepChannels it bounds the memory to some 100 MB.
	maxConversations = 10_000
	// maxFollowed is how many new events are read to bring an index up to date; beyond it, it is cheaper to read the newest of each conversation.
	maxFollowed = 2000
)

// IndexLog is what an Index reads. *eventlog.Log is one.
type IndexLog interface {
	Log
	NewestOfLanes(ctx context.Context, channelUID string, visit func(eventlog.Stored)) error
}

// Index knows which conversations a channel has, in the order of their newest events. It is safe for concurrent use.
type Index struct {
	log  IndexLog
	kept *lru.Cache // *channelIndex by indexKey
}

type indexKey struct {
	epoch      int64
	channelUID string
}

// Place is where a conversation is in the order.
type Place struct {
	// Sequence of its newest event.
	Sequence uint64
	ID       string
}

// channelIndex is the index of a channel, up to a place in the log.
type channelIndex struct {
	mu     sync.Mutex
	filled bool
	upTo   uint64
	// order has the places in ascending order. Those are out of date whose conversation has another sequence in newest.
	order  []Place
	newest map[string]uint64 // by conversation
}

// NewIndex makes an Index.
func NewIndex(log IndexLog) *Index { return &Index{log: log, kept: lru.New(keepChannels)} }

// Epoch is that of the log: places of another one mean nothing.
func (x *Index) Epoch() int64 { return x.log.Epoch() }

// Conversations are those of a channel whose newest event is before a place, by all events that were stored before the call: the newest first, at
// most limit of them. before is 0 for the first page. more says that others follow.
func (x *Index) Conversations(ctx context.Context, channelUID string, before uint64, limit int) (page []Place, more bool, err error) {
	key := indexKey{x.log.Epoch(), channelUID}
	c := &channelIndex{}
	if kept, ok := x.kept.Get(key); ok {
		c = kept.(*channelIndex)
	} else {
		x.kept.Add(key, c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.update(ctx, x.log, channelUID); err != nil {
		return nil, false, fmt.Errorf("looking for the conversations of a channel: %w", err)
	}
	page, more = c.page(before, limit)
	return page, more, nil
}

func (c *channelIndex) page(before uint64, limit int) (page []Place, more bool) {
	end := len(c.order)
	if before > 0 {
		end, _ = slices.BinarySearchFunc(c.order, before, func(p Place, s uint64) int {
			if p.Sequence < s {
				return -1
			}
			return 1
		})
	}
	for _, p := range slices.Backward(c.order[:end]) {
		if c.newest[p.ID] != p.Sequence {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, p)
	}
	return page, false
}

// update reads what came since, or everything.
func (c *channelIndex) update(ctx context.Context, log IndexLog, channelUID string) error {
	if !c.filled {
		if err := c.fill(ctx, log, channelUID); err != nil {
			return err
		}
	}
	// Also after filling: the server that gave the newest ones may lag behind its cluster, which Events notices.
	for read, refilled := 0, false; ; {
		events, more, err := log.Events(ctx, eventlog.Query{
			ChannelUID: channelUID, After: eventlog.Position{Sequence: c.upTo}, Limit: batch, MaxBytes: batchBytes, Certain: true,
		})
		if err != nil {
			return err
		}
		for _, e := range events {
			c.see(*e)
		}
		if read += len(events); !more || len(events) == 0 {
			c.tidy()
			return nil
		}
		if read >= maxFollowed && !refilled {
			if err := c.fill(ctx, log, channelUID); err != nil {
				return err
			}
			refilled = true
		}
	}
}

func (c *channelIndex) fill(ctx context.Context, log IndexLog, channelUID string) error {
	filled := channelIndex{newest: map[string]uint64{}}
	var replayed []eventlog.Stored
	err := log.NewestOfLanes(ctx, channelUID, func(e eventlog.Stored) {
		if e.Replay != "" && e.Conversation != "" {
			filled.upTo, replayed = e.Sequence, append(replayed, e)
			return
		}
		filled.see(e)
		filled.tidy()
	})
	if err != nil {
		return err
	}
	for _, e := range replayed {
		sequence, err := beforeReplays(ctx, log, channelUID, e)
		if err != nil {
			return err
		}
		if sequence > filled.newest[e.Conversation] {
			filled.order = append(filled.order, Place{Sequence: sequence, ID: e.Conversation})
			filled.newest[e.Conversation] = sequence
		}
	}
	slices.SortFunc(filled.order, func(a, b Place) int { return cmp.Compare(a.Sequence, b.Sequence) })
	filled.tidy()
	c.filled, c.upTo, c.order, c.newest = true, filled.upTo, filled.order, filled.newest
	return nil
}

// beforeReplays is the sequence of the newest event of a lane that is no replay, which it takes reading the lane to find; of the lane's newest event,
// which is one, if nothing else is left.
func beforeReplays(ctx context.Context, log IndexLog, channelUID string, newest eventlog.Stored) (uint64, error) {
	found := newest.Sequence
	q := eventlog.Query{ChannelUID: channelUID, Lane: newest.Lane, Limit: batch, MaxBytes: batchBytes}
	for {
		events, more, err := log.Events(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, e := range events {
			if e.Replay == "" {
				found = e.Sequence
			}
			q.After = eventlog.Position{Sequence: e.Sequence}
		}
		if !more || len(events) == 0 || q.After.Sequence >= newest.Sequence {
			return found, nil
		}
	}
}

// see takes note of an event that is newer than all before.
func (c *channelIndex) see(e eventlog.Stored) {
	c.upTo = e.Sequence
	if e.Conversation == "" {
		return
	}
	// A replay is nothing new. It counts where nothing else is left of the conversation.
	if _, known := c.newest[e.Conversation]; known && e.Replay != "" {
		return
	}
	c.order = append(c.order, Place{Sequence: e.Sequence, ID: e.Conversation})
	c.newest[e.Conversation] = e.Sequence
}

// tidy drops what is out of date, and conversations beyond the limit, now and then.
func (c *channelIndex) tidy() {
	if len(c.order) < 2*min(len(c.newest), maxConversations)+batch {
		return
	}
	c.order = slices.DeleteFunc(c.order, func(p Place) bool { return c.newest[p.ID] != p.Sequence })
	for _, p := range c.order[:max(0, len(c.order)-maxConversations)] {
		delete(c.newest, p.ID)
	}
	c.order = slices.Clone(c.order[max(0, len(c.order)-maxConversations):])
}
