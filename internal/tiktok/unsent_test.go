package tiktok_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNotSent: a request that provably did not leave may be made again, so it must be told from one that may have been processed.
func TestNotSent(t *testing.T) {
	plain := serve(t, answerJSON(`{"code":0}`))
	selfSigned := httptest.NewTLSServer(answerJSON(`{"code":0}`))
	t.Cleanup(selfSigned.Close)
	selfSigned.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the handshakes
	unresolved := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "tiktok.invalid", IsNotFound: true}}
	}}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		endpoint string
		client   *http.Client
		ctx      context.Context
		cause    error
	}{
		"connection refused":    {"http://" + closedAddress(t), nil, soon(t), nil},
		"TLS to a plain server": {strings.Replace(plain.URL, "http:", "https:", 1), nil, soon(t), nil},
		"a foreign certificate": {selfSigned.URL, nil, soon(t), nil},
		"no such host":          {"http://tiktok.invalid/", unresolved, soon(t), nil},
		"a context that ended":  {plain.URL, nil, cancelled, context.Canceled},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var observed []string
			client := newClient(t, tt.endpoint, func(c *tiktok.Config) {
				c.HTTPClient = tt.client
				c.Observe = func(o tiktok.Observation) { observed = append(observed, o.Code) }
			})
			for endpoint, call := range calls {
				observed = nil
				err := call(tt.ctx, client)
				e := asError(t, err)
				if !e.NotSent || e.Class != tiktok.ClassTransient || e.HTTPStatus != 0 || !strings.Contains(err.Error(), "not sent") {
					t.Errorf("%s: %+v, want it transient and not sent", endpoint, e)
				}
				if strings.Contains(err.Error(), "://") || strings.Contains(err.Error(), "?") {
					t.Errorf("%s: %v quotes the URL", endpoint, err)
				}
				if tt.cause != nil && !errors.Is(err, tt.cause) {
					t.Errorf("%s: %v is no %v", endpoint, err, tt.cause)
				}
				if len(observed) != 1 || observed[0] != "network" {
					t.Errorf("%s: observed %q", endpoint, observed)
				}
			}
		})
	}
	if n := len(plain.taken()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// ending is a context whose time is up when it is told so: when a request has arrived, however long that takes on a busy machine.
type ending struct {
	context.Context
	over <-chan struct{}
}

func (e *ending) Done() <-chan struct{} { return e.over }

func (e *ending) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// answered tells when an answer has begun.
type answered chan struct{}

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		a <- struct{}{}
	}
	return response, err
}

// TestSent: the request arrived, and what became of it is not known.
func TestSent(t *testing.T) {
	done, arrived, begun := make(chan struct{}), make(chan struct{}), make(answered)
	silent := func(arrived chan<- struct{}) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			if arrived != nil {
				arrived <- struct{}{}
			}
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}
	}
	told, untold := serve(t, silent(arrived)), serve(t, silent(nil))
	t.Cleanup(func() { close(done) }) // before the server's own clean-up, which waits
	cut := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "500")
		_, _ = io.WriteString(w, `{"code":0,"data":{"access_token":"`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	stuck := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"code":0,"data":{"access_token":"`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-done:
		}
	})
	tests := map[string]struct {
		server *fakeTikTok
		client http.Client
		ends   <-chan struct{} // when the context's time is up
		class  tiktok.Class
		cause  error
	}{
		"the context's time is up":             {told, http.Client{}, arrived, tiktok.ClassTransient, context.DeadlineExceeded},
		"the client's time is up":              {untold, http.Client{Timeout: time.Second}, nil, tiktok.ClassTransient, context.DeadlineExceeded},
		"the connection is cut":                {cut, http.Client{}, nil, tiktok.ClassTransient, nil},
		"the connection is cut in the answer":  {half, http.Client{}, nil, tiktok.ClassMalformed, nil},
		"the context's time is up while it is": {stuck, http.Client{Transport: begun}, begun, tiktok.ClassMalformed, context.DeadlineExceeded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, tt.server.URL, func(c *tiktok.Config) { c.HTTPClient = &tt.client })
			before := len(tt.server.taken())
			posts := []string{"tt_user/oauth2/refresh_token/", "tt_user/oauth2/token/"} // an answer without data would be enough for others
			for _, endpoint := range posts {
				ctx := soon(t)
				if tt.ends != nil {
					over := make(chan struct{})
					ctx = &ending{ctx, over}
					go func() {
						<-tt.ends
						close(over)
					}()
				}
				err := calls[endpoint](ctx, client)
				e := asError(t, err)
				if e.NotSent || e.Class != tt.class {
					t.Errorf("%s: %+v, want it sent, of class %s", endpoint, e, tt.class)
				}
				if tt.cause != nil && !errors.Is(err, tt.cause) {
					t.Errorf("%s: %v is no %v", endpoint, err, tt.cause)
				}
			}
			if n := len(tt.server.taken()) - before; n != len(posts) {
				t.Errorf("%d requests arrived for %d calls: a POST must never be repeated by itself", n, len(posts))
			}
		})
	}
}

// TestReusedConnection: a POST on a connection that the server has closed meanwhile is either answered or said to be in doubt, never lost in
// silence or made twice.
func TestReusedConnection(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"access_token":"a","refresh_token":"r"}}`))
	client := newClient(t, server.URL)
	for range 20 {
		before := len(server.taken())
		_, err := client.RefreshToken(soon(t), refresh)
		arrived := len(server.taken()) - before
		if err == nil && arrived != 1 {
			t.Fatalf("answered, and %d requests arrived", arrived)
		}
		if err != nil && (arrived > 1 || (asError(t, err).NotSent && arrived != 0)) {
			t.Fatalf("%v, and %d requests arrived", err, arrived)
		}
		server.CloseClientConnections()
	}
}

func TestPermits(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"access_token":"a","refresh_token":"r"}}`))
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	limiter := tiktok.NewLimiter(4, clock) // a burst of 2
	client := newClient(t, server.URL, func(c *tiktok.Config) { c.Limiter = limiter })
	for i := range 2 {
		if _, err := client.RefreshToken(soon(t), refresh); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := client.RefreshToken(ctx, refresh)
	if e := asError(t, err); !e.NotSent || e.Class != tiktok.ClassTransient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a permit: %+v", e)
	}
	if _, err := client.Granted().RefreshToken(soon(t), refresh); err != nil {
		t.Errorf("with a permit of its own: %v", err)
	}
	if n := len(server.taken()); n != 3 {
		t.Errorf("%d requests arrived, want 3", n)
	}
}
