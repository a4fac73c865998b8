package faults

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// slowServer is a way to the API server that sees requests, where proxy sees bytes: it can hold the answer to one of them.
type slowServer struct {
	*httptest.Server
	held chan struct{}

	mu             sync.Mutex
	method, suffix string // of the request whose answer is held next
}

func newSlowServer(t *testing.T) *slowServer {
	t.Helper()
	target := &url.URL{Scheme: "https", Host: cluster.address}
	s := &slowServer{held: make(chan struct{})}
	s.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer "+clusterToken) // clients send none over plain HTTP
		},
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		FlushInterval:  -1, // watches
		ModifyResponse: s.answer,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *slowServer) hold(method, suffix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.method, s.suffix = method, suffix
}

func (s *slowServer) release() { close(s.held) }

func (s *slowServer) answer(r *http.Response) error {
	s.mu.Lock()
	matches := s.method == r.Request.Method && strings.HasSuffix(r.Request.URL.Path, s.suffix)
	if matches {
		s.method = ""
	}
	s.mu.Unlock()
	if matches {
		select {
		case <-s.held:
		case <-r.Request.Context().Done():
		}
	}
	return nil
}
