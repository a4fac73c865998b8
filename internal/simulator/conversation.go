package simulator

import (
	"container/list"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

const (
	// listedMessages is how many messages the content list shows, and all that is kept of a conversation.
	listedMessages = 20
	// maxConversations are kept of a business: a load test must not make the simulator grow. Those in which nothing happened for longest go.
	maxConversations = 5_000
	// listedFor is how long a conversation in which nothing happens is listed.
	listedFor = 90 * 24 * time.Hour
)

// message is one that was sent by either side, with the content that a webhook of it has.
type message struct {
	id, conversation string
	outbound         bool
	content          json.RawMessage
}

// conversation of a business. Conversations never change places but to the front.
type conversation struct {
	id       string
	updated  time.Time
	turn     int64 // grows with every change of any conversation
	answered bool
	messages []message // oldest first
	// What the rules of sending go by.
	standing
}

// conversations are what TikTok shows of them, by business; the one that changed last is in front.
type conversations struct {
	mu         sync.RWMutex
	turn       int64
	byBusiness map[string]*inbox
}

type inbox struct {
	order *list.List // of *conversation
	byID  map[string]*list.Element
}

// messageOf is what the lists show of an event; nil if they show nothing of it.
func messageOf(event string, content json.RawMessage) *message {
	if event != eventReceive && event != eventSend && event != eventReceiveEU {
		return nil
	}
	id, conversation := idsOf(content)
	if id == "" || conversation == "" {
		return nil
	}
	return &message{id: id, conversation: conversation, outbound: event == eventSend, content: content}
}

// keep adds a message to its conversation. One that is there already, as with TikTok's duplicates, changes nothing.
func (c *conversations) keep(business string, m message, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(business, m, at)
}

// put is keep; the caller holds the lock.
func (c *conversations) put(business string, m message, at time.Time) {
	in := c.byBusiness[business]
	if in == nil {
		in = &inbox{order: list.New(), byID: map[string]*list.Element{}}
		if c.byBusiness == nil {
			c.byBusiness = map[string]*inbox{}
		}
		c.byBusiness[business] = in
	}
	e, ok := in.byID[m.conversation]
	if !ok {
		e = in.order.PushFront(&conversation{id: m.conversation})
		in.byID[m.conversation] = e
	}
	conv := conversationIn(e)
	if slices.ContainsFunc(conv.messages, func(k message) bool { return k.id == m.id }) {
		return
	}
	c.turn++
	conv.updated, conv.turn = at, c.turn
	conv.answered = conv.answered || m.outbound
	conv.messages = append(conv.messages, m)
	if extra := len(conv.messages) - listedMessages; extra > 0 {
		conv.messages = slices.Clone(conv.messages[extra:])
	}
	conv.count(m, at)
	in.order.MoveToFront(e)
	if in.order.Len() > maxConversations {
		delete(in.byID, conversationIn(in.order.Back()).id)
		in.order.Remove(in.order.Back())
	}
}

// page are up to limit conversations, newest first, that changed before a turn (0: all); more says that others follow.
func (c *conversations) page(business string, answered bool, since time.Time, before int64, limit int) (page []conversation, more bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	in := c.byBusiness[business]
	if in == nil {
		return nil, false
	}
	for e := in.order.Front(); e != nil; e = e.Next() {
		conv := conversationIn(e)
		if conv.answered != answered || conv.updated.Before(since) || (before > 0 && conv.turn >= before) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, conversation{id: conv.id, updated: conv.updated, turn: conv.turn})
	}
	return page, false
}

// messages of a conversation, newest first; known is false if the business has no such conversation.
func (c *conversations) messages(business, id string) (messages []message, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	in := c.byBusiness[business]
	if in == nil {
		return nil, false
	}
	e, known := in.byID[id]
	if !known {
		return nil, false
	}
	messages = slices.Clone(conversationIn(e).messages)
	slices.Reverse(messages)
	return messages, true
}

func conversationIn(e *list.Element) *conversation {
	conv, _ := e.Value.(*conversation) // nothing else is put in
	return conv
}
