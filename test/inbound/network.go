package inbound

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// network carries what the servers of a NATS cluster say to each other: each reaches each other one at an address of its own. A server that is
// cut off hears nobody and is not heard, and no connection is closed, as where packets are dropped. What was under way arrives when the cut is
// mended.
type network struct {
	mu        sync.Mutex
	whole     sync.Cond
	cut       map[int]bool
	over      bool
	listeners []net.Listener
}

func newNetwork() *network {
	n := &network{cut: map[int]bool{}}
	n.whole.L = &n.mu
	return n
}

func (n *network) cutOff(server int) { n.change(func() { n.cut[server] = true }) }

func (n *network) mend() { n.change(func() { clear(n.cut) }) }

func (n *network) close() {
	n.change(func() {
		n.over = true
		for _, l := range n.listeners {
			_ = l.Close()
		}
	})
}

func (n *network) change(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.whole.Broadcast()
}

// link returns the address at which the server from reaches the server to, which listens at the port.
func (n *network) link(ctx context.Context, from, to, port int) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening between servers: %w", err)
	}
	n.change(func() { n.listeners = append(n.listeners, l) })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // closed
			}
			go n.connect(near, fmt.Sprintf("127.0.0.1:%d", port), from, to)
		}
	}()
	return l.Addr().String(), nil
}

// open waits until two servers can talk. It returns false when all is over.
func (n *network) open(from, to int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !n.over && (n.cut[from] || n.cut[to]) {
		n.whole.Wait()
	}
	return !n.over
}

func (n *network) connect(near net.Conn, address string, from, to int) {
	defer near.Close()
	if !n.open(from, to) {
		return
	}
	far, err := net.Dial("tcp", address) //nolint:noctx // at once
	if err != nil {
		return // the server is dead
	}
	defer far.Close()
	open := func() bool { return n.open(from, to) }
	go carry(near, far, open)
	carry(far, near, open)
}

// carry carries bytes one way, while the way is open, until an end is closed.
func carry(from, to net.Conn, open func() bool) {
	defer from.Close()
	defer to.Close()
	bytes := make([]byte, 64<<10)
	for {
		count, err := from.Read(bytes)
		if count > 0 {
			if !open() {
				return
			}
			if _, err := to.Write(bytes[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
