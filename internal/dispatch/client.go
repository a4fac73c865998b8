package dispatch

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

const (
	dialTimeout         = 10 * time.Second
	idleConnTimeout     = 90 * time.Second
	maxIdleConns        = 1024
	maxIdleConnsPerHost = 32
	maxResponseHeader   = 64 << 10
	// maxResponseBody is how much of an answer is read, to use the connection again; what it says does not matter.
	maxResponseBody = 64 << 10
	// A connection of HTTP/2 from which nothing has come for pingAfter is tried, and left if there is no answer within pingTimeout. One of HTTP/1.1
	// is left with the first attempt that times out; all attempts share one of HTTP/2.
	pingAfter, pingTimeout = 15 * time.Second, 10 * time.Second
)

// control is asked about each address before it is dialled.
type control func(network, address string, c syscall.RawConn) error

// newTransport makes the transport of one trust zone, with so many connections to a host: one that is being made may outlast its attempt. It
// knows no proxy: a proxy would dial in the guard's stead. A nil guard lets pass everything.
func newTransport(guard control, perHost int) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: guard}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, dialled(ctx, address))
		},
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout, DisableCompression: true,
		MaxConnsPerHost: perHost, MaxIdleConns: maxIdleConns, MaxIdleConnsPerHost: maxIdleConnsPerHost, IdleConnTimeout: idleConnTimeout,
		MaxResponseHeaderBytes: maxResponseHeader, ExpectContinueTimeout: time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// newTransports are those of sinks with a uri, and of Services.
func newTransports(allowPrivate bool, perHost int) (public, services *http.Transport) {
	if allowPrivate {
		return newTransport(nil, perHost), newTransport(nil, perHost)
	}
	return newTransport(sink.Guard, perHost), newTransport(sink.GuardService, perHost)
}

type addressKey struct{}

// dialAt has a request's connection made to an address, whatever its host resolves to.
func dialAt(ctx context.Context, address netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// dialled is what is dialled for a request's host and port.
func dialled(ctx context.Context, hostPort string) string {
	address, ok := ctx.Value(addressKey{}).(netip.Addr)
	_, port, err := net.SplitHostPort(hostPort)
	if !ok || err != nil {
		return hostPort
	}
	return net.JoinHostPort(address.String(), port)
}

// newClient makes a client that follows no redirect: the address that was resolved, and the signature, are for the sink alone.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// hostOf is where a sink is, as far as its spec says: a Service, or the host and port of its address.
func hostOf(namespace string, s *v1alpha1.Sink) string {
	if s.Ref != nil {
		return s.Ref.Name + "." + namespace + ".svc"
	}
	u, err := url.Parse(s.URI)
	if err != nil {
		return "" // it is never reached
	}
	return strings.ToLower(u.Host)
}
