package inbound

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy stands between the webhook binary and the API server, as the network does.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	away  bool
	conns map[net.Conn]bool
}

func openProxy(ctx context.Context, target string) (*proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening in the API server's stead: %w", err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	go p.serve()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// cut is the API server going away: what is open ends, what is new is refused.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) isAway() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

func (p *proxy) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = false
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.cut()
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		go p.connect(in)
	}
}

func (p *proxy) connect(in net.Conn) {
	out, err := net.Dial("tcp", p.target) //nolint:noctx // it ends with the other half
	if err != nil {
		_ = in.Close()
		return
	}
	defer p.end(in, out)
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	refuse := p.away
	p.mu.Unlock()
	if refuse {
		return
	}
	go func() {
		defer p.end(in, out)
		_, _ = io.Copy(out, in) // it ends when either side does
	}()
	_, _ = io.Copy(in, out)
}

func (p *proxy) end(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}
