package ingest

import (
	"net"
	"sync"
)

// Bounded has no more than some connections at once: further ones are accepted when others have ended. golang.org/x/net/netutil's does so too,
// but its connections cannot be closed for writing alone, which net/http does so that what it says to who sends too much arrives.
func Bounded(listener net.Listener, connections int) net.Listener {
	return &bounded{Listener: listener, places: make(chan struct{}, connections), closed: make(chan struct{})}
}

type bounded struct {
	net.Listener
	places chan struct{} // one in it for each connection
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &boundedConn{Conn: c, end: sync.OnceFunc(func() { <-b.places })}, nil
}

// Close implements net.Listener.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	end func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.end()
	return c.Conn.Close()
}

// CloseWrite is that of a TCP connection.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
