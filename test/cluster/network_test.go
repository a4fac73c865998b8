package cluster

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// network carries what the nodes say to each other: each node reaches each other one at an address of its own. A node that is cut off hears nobody
// and is not heard, and no connection is closed, as where packets are dropped. What was under way arrives when the cut is mended.
type network struct {
	mu    sync.Mutex
	whole sync.Cond
	cut   map[int]bool
	over  bool
}

func newNetwork(t *testing.T) *network {
	n := &network{cut: map[int]bool{}}
	n.whole.L = &n.mu
	t.Cleanup(func() {
		n.change(func() { n.over = true })
	})
	return n
}

func (n *network) cutOff(node int) { n.change(func() { n.cut[node] = true }) }

func (n *network) mend() { n.change(func() { clear(n.cut) }) }

func (n *network) change(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.whole.Broadcast()
}

// link returns the address at which the node from reaches the node to, which listens at the port.
func (n *network) link(t *testing.T, from, to, port int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	open := func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		for !n.over && (n.cut[from] || n.cut[to]) {
			n.whole.Wait()
		}
		return !n.over
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				if !open() {
					return
				}
				far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					return // the node is dead
				}
				defer far.Close()
				go carry(near, far, open)
				carry(far, near, open)
			}()
		}
	}()
	return l.Addr().String()
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
