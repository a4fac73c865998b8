package dispatch

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// cutter passes connections on, until it is told to cut those that there are: they stay open, and nothing comes through.
type cutter struct {
	address string
	mu      sync.Mutex
	cuts    int
	conns   []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: listener.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := new(net.Dialer).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = down.Close()
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, down, up)
			cuts := c.cuts
			c.mu.Unlock()
			running.Go(func() { c.pass(up, down, cuts) })
			running.Go(func() { c.pass(down, up, cuts) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.mu.Lock()
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		running.Wait()
	})
	return c
}

func (c *cutter) pass(to, from net.Conn, cuts int) {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		c.mu.Lock()
		cut := c.cuts != cuts
		c.mu.Unlock()
		if !cut {
			_, _ = to.Write(piece[:n])
		}
	}
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts++
}

// A connection of HTTP/2 that is dead, and that nobody closes, is left: else all deliveries to its host would time out on it until the kernel gives
// up, which takes a quarter of an hour.
func TestADeadConnectionIsLeft(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
			}))
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			t.Cleanup(server.Close)
			between := newCutter(t, server.Listener.Addr().String())
			transport, _ := newTransports(true, 8)
			t.Cleanup(transport.CloseIdleConnections)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
			if h := transport.HTTP2; h != nil { // in less time
				h.SendPingTimeout, h.PingTimeout = h.SendPingTimeout/100, h.PingTimeout/100
			}
			client := newClient(transport)
			post := func() error {
				response, err := client.Post("https://"+between.address, "application/json", strings.NewReader("{}"))
				if err != nil {
					return err
				}
				defer func() { _ = response.Body.Close() }()
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					return err
				}
				if response.Proto != protocol {
					t.Fatalf("it is %s", response.Proto)
				}
				return nil
			}
			if err := post(); err != nil {
				t.Fatal(err)
			}
			between.cut()
			client.Timeout = 500 * time.Millisecond
			var err error
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
				if err = post(); err == nil {
					return
				}
			}
			t.Fatalf("deliveries still go to a connection that is dead: %v", err)
		})
	}
}
