package dispatch

import (
	"net"
	"net/http"
	"time"

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
)

// newTransport makes the transport of one trust zone. It knows no proxy: a proxy would dial in the guard's stead.
func newTransport(guarded bool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	if guarded {
		dialer.Control = sink.Guard
	}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout, DisableCompression: true,
		MaxIdleConns: maxIdleConns, MaxIdleConnsPerHost: maxIdleConnsPerHost, IdleConnTimeout: idleConnTimeout,
		MaxResponseHeaderBytes: maxResponseHeader, ExpectContinueTimeout: time.Second,
	}
}

// newClient makes a client that follows no redirect: the address that was resolved, and the signature, are for the sink alone.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
