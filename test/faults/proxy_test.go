package faults

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between one manager and the API server, as the network does. It can cut connections and hold answers back.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	changed *sync.Cond
	isCut   bool
	held    bool
	conns   map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	t.Cleanup(func() { l.Close(); p.cut() })
	go p.serve()
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// cut is the API server going away: what is open ends, what is new is refused.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = true
	for c := range p.conns {
		c.Close()
	}
	p.changed.Broadcast()
}

// holdAnswers lets requests through, and no answer.
func (p *proxy) holdAnswers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// restore ends every disturbance. Answers that were held arrive.
func (p *proxy) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut, p.held = false, false
	p.changed.Broadcast()
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(in)
	}
}

func (p *proxy) connect(in net.Conn) {
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		in.Close()
		return
	}
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	refuse := p.isCut
	p.mu.Unlock()
	if refuse {
		p.end(in, out)
		return
	}
	go p.pump(out, in, false)
	p.pump(in, out, true)
}

func (p *proxy) pump(to, from net.Conn, answers bool) {
	defer p.end(to, from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			for answers && p.held && !p.isCut {
				p.changed.Wait()
			}
			p.mu.Unlock()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) end(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}
