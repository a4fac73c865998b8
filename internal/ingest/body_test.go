package ingest_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// held is a body of which some has come, and of which nobody knows whether more will.
type held struct {
	come  io.Reader
	wait  func() // called once all of it was read
	until chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	if n, _ := h.come.Read(p); n > 0 {
		return n, nil
	}
	h.wait()
	<-h.until
	return 0, io.ErrUnexpectedEOF
}

// holdBodies sends requests that announce the largest body, and of which some has come. It returns once nothing more will happen, with the requests
// that were answered before that, and what ends the others.
func holdBodies(f *fixture, requests, come int) (answered []*httptest.ResponseRecorder, end func()) {
	var mu sync.Mutex
	var settled, all sync.WaitGroup
	until := make(chan struct{})
	settled.Add(requests)
	for range requests {
		all.Go(func() {
			once := sync.OnceFunc(settled.Done)
			r := httptest.NewRequest(http.MethodPost, "/webhooks/app", &held{strings.NewReader(strings.Repeat("x", come)), once, until})
			r.ContentLength = ingest.MaxBody
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, r)
			select {
			case <-until:
			default:
				mu.Lock()
				answered = append(answered, w)
				mu.Unlock()
			}
			once()
		})
	}
	settled.Wait()
	return answered, func() {
		close(until)
		all.Wait()
	}
}

// What is announced takes no memory before it comes.
func TestAnnouncedBodiesTakeNoMemory(t *testing.T) {
	f := setup(t)
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	const requests = 300
	answered, end := holdBodies(f, requests, 10)
	during := inUse()
	end()
	if len(answered) > 0 {
		t.Errorf("%d requests were answered", len(answered))
	}
	if grown := int64(during) - int64(before); grown > requests*ingest.MaxBody/4 {
		t.Errorf("%d requests that announce %d bytes and send 10 take %d bytes each", requests, ingest.MaxBody, grown/requests)
	}
}

// Together, bodies take no more than they may; usual webhooks are taken all the while, and large ones when there is room again.
func TestLargeBodiesTakeTurns(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	const fit = ingest.MaxBodies / ingest.MaxBody
	answered, end := holdBodies(f, 2*fit, ingest.MaxBody-1)
	if refused := len(answered); refused < fit/2 || refused >= 2*fit {
		t.Errorf("%d of %d requests were refused", refused, 2*fit)
	}
	for _, w := range answered {
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "large") {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if got := f.count(t, "tiktok_operator_webhook_requests_total", "outcome", "busy"); int(got) != len(answered) {
		t.Errorf("%v requests are counted, want %d", got, len(answered))
	}
	if w := f.post("/webhooks/app", text("1", "c"), secret); w.Code != http.StatusOK {
		t.Errorf("a usual webhook: %d %s", w.Code, w.Body)
	}
	end()
	large := envelope("im_receive_msg", business, map[string]any{
		"message_id": "2", "conversation_id": "c", "type": "text", "text": map[string]any{"body": strings.Repeat("x", ingest.MaxBody-1000)},
	})
	for range 2 * fit { // all of the room came back
		if w := f.post("/webhooks/app", large, secret); w.Code != http.StatusOK {
			t.Fatalf("a large webhook: %d %s", w.Code, w.Body)
		}
	}
}

// Bodies of any size arrive whole, whether their size is told or not.
func TestBodiesArriveWhole(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	server := httptest.NewServer(f.handler)
	defer server.Close()
	empty := len(envelope("other", business, map[string]any{"n": ""}))
	n := 0
	for _, size := range []int{empty, 1 << 10, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64 << 10, 64<<10 + 1, 64<<10 + 2, ingest.MaxBody - 1, ingest.MaxBody, ingest.MaxBody + 1} {
		for _, told := range []bool{true, false} {
			n++
			filler := fmt.Sprint(n) // an event of its own
			body := envelope("other", business, map[string]any{"n": filler + strings.Repeat("x", max(0, size-empty-len(filler)))})
			var reader io.Reader = bytes.NewReader(body)
			if !told {
				reader = io.MultiReader(reader)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/webhooks/app", reader)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(tiktok.SignatureHeader, tiktok.Sign(secret, body, f.clock.Now()))
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := http.StatusOK
			if len(body) > ingest.MaxBody {
				want = http.StatusRequestEntityTooLarge
			}
			if resp.StatusCode != want {
				t.Errorf("%d bytes, told: %t: %s", len(body), told, resp.Status)
				continue
			}
			if stored := f.events(t, "uid-1"); want == http.StatusOK && !bytes.Equal(stored[len(stored)-1].Body, body) {
				t.Errorf("%d bytes, told: %t: what is stored differs", len(body), told)
			}
		}
	}
}

// Connections beyond the limit wait for others to end.
func TestConnectionsAreBounded(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const most = 3
	server := ingest.NewServer(http.NotFoundHandler(), nil)
	defer server.Close()
	go func() { _ = server.Serve(ingest.Bounded(listener, most)) }()
	var connections []net.Conn
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	answered := func(c net.Conn) chan error {
		result := make(chan error, 1)
		go func() {
			_, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if err == nil {
				_, err = c.Read(make([]byte, 4096))
			}
			result <- err
		}()
		return result
	}
	for range most {
		c := dial()
		connections = append(connections, c)
		if err := <-answered(c); err != nil {
			t.Fatal(err)
		}
	}
	waiting := answered(dial())
	for range 20 { // the server has had the time to serve one more
		if err := <-answered(connections[1]); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-waiting:
		t.Fatalf("a connection too many was served: %v", err)
	default:
	}
	if err := connections[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("a connection was not served when another one had ended: %v", err)
	}
}
