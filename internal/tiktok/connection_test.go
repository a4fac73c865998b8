package tiktok_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// mute is a network that carries nothing any more, and closes nothing, of connections that were made before it was told to be.
type mute struct{ since atomic.Int64 }

type muteConn struct {
	net.Conn
	network *mute
	made    int64
	close   sync.Once
	closed  chan struct{}
}

func (m *mute) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &muteConn{Conn: conn, network: m, made: m.since.Load(), closed: make(chan struct{})}, err
}

func (c *muteConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.network.since.Load() != c.made {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *muteConn) Write(b []byte) (int, error) {
	if c.network.since.Load() != c.made {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *muteConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestADeadConnectionIsLeft: all calls share one connection of HTTP/2. Where it died without a word, calls would time out for a quarter of an hour.
func TestADeadConnectionIsLeft(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client, network := tiktok.NewHTTPClient(), &mute{}
	transport := client.Transport.(*http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport.TLSClientConfig, transport.DialContext = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, network.dial
	if h := transport.HTTP2; h != nil { // in less time
		h.SendPingTimeout, h.PingTimeout = h.SendPingTimeout/100, h.PingTimeout/100
	}
	get := func() error {
		response, err := client.Get(server.URL)
		if err != nil {
			return err
		}
		if response.ProtoMajor != 2 {
			t.Fatalf("it is %s", response.Proto)
		}
		return response.Body.Close()
	}
	reach := func(inVain string) {
		t.Helper()
		err := get()
		for deadline := time.Now().Add(time.Minute); err != nil; err = get() {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", inVain, err)
			}
		}
	}
	reach("the server cannot be reached") // a busy machine may not answer the pings in that time
	network.since.Add(1)
	client.Timeout = time.Second
	reach("calls still go to a connection that is dead")
}
