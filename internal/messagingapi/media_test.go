package messagingapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

func (s *reading) mediaPath(messageID string) string {
	return "/conversations/" + url.PathEscape(s.Conversation) + "/messages/" + messageID + "/media"
}

func TestMediaAreStreamed(t *testing.T) {
	s := serveReading(t)
	file := outboundtest.OnePixel(t)
	path := s.mediaPath(s.tell(simulator.Event{Kind: "image", Image: file}).MessageID)
	r := s.get(path)
	if r.status != http.StatusOK || !bytes.Equal(r.body, file) {
		t.Fatalf("%d %q", r.status, r.body)
	}
	wantHeaders(t, r.header, "image/png", "inline")
	r = s.do(http.MethodHead, s.url+path, "", nil, nil)
	if r.status != http.StatusOK || len(r.body) != 0 || r.header.Get("Content-Length") != fmt.Sprint(len(file)) {
		t.Errorf("HEAD: %d %v %q", r.status, r.header, r.body)
	}
	wantHeaders(t, r.header, "image/png", "inline")

	s.wantProblem(s.mediaPath(s.tell(simulator.Event{Text: "no image"}).MessageID), http.StatusNotFound, "no-media")
	s.Sim.RevokeBusiness(outboundtest.Shop)
	if detail := s.wantProblem(path, http.StatusBadGateway, "media-unavailable"); !strings.Contains(detail, "40105") {
		t.Errorf("a token that TikTok refuses: %s", detail)
	}
	s.SetToken(s.Sim.IssueToken(outboundtest.Shop).AccessToken)
	if r := s.get(path); r.status != http.StatusOK { // the refused one was forgotten
		t.Errorf("with a new token: %d %s", r.status, r.body)
	}
	s.SetToken("")
	s.Clock.Step(time.Minute)
	s.wantProblem(path, http.StatusConflict, "channel-not-authorized")
}

func wantHeaders(t *testing.T, h http.Header, contentType, disposition string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": contentType, "Content-Disposition": disposition, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// hostile is a TikTok that gives addresses of media as a test wants.
type hostile struct {
	*reading
	path string
	// address of the media; they are served under /media.
	address string
	serve   http.HandlerFunc
	token   string
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	return newHostileOn(t, serveReading(t))
}

func newHostileOn(t *testing.T, s *reading) *hostile {
	t.Helper()
	h := &hostile{reading: s, token: "secret-token-of-the-channel"}
	h.path = h.mediaPath(h.tell(simulator.Event{Kind: "image"}).MessageID)
	h.SetToken(h.token)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /open_api/v1.3/business/message/media/download/", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"code": 0, "message": "OK", "data": map[string]any{"download_url": h.address}})
	})
	mux.HandleFunc("/media", func(w http.ResponseWriter, r *http.Request) { h.serve(w, r) })
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	h.endpoint(server.URL)
	h.address = server.URL + "/media?key=key-of-the-media"
	return h
}

// refused asks for the media and checks that nothing secret is told.
func (h *hostile) refused(status int, name string) (detail string) {
	h.Helper()
	r := h.get(h.path)
	got, detail := r.problem(h.TB)
	if r.status != status || got != name {
		h.Errorf("%d %s (%s), want %d %s", r.status, got, detail, status, name)
	}
	for _, secret := range []string{h.token, "key-of-the-media", "127.0.0.1"} {
		if bytes.Contains(r.body, []byte(secret)) {
			h.Errorf("the problem tells %q: %s", secret, r.body)
		}
	}
	return detail
}

func TestMediaThatLieAboutTheirType(t *testing.T) {
	h := newHostile(t)
	page := []byte("<!DOCTYPE html><script>alert(1)</script>")
	for claimed, file := range map[string][]byte{
		"image/png": page, "text/html": page, "image/svg+xml": []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
		"application/pdf": []byte("%PDF-1.7"), "": []byte("MZ"), "image/jpeg\r\nX: y": []byte("plain"),
	} {
		h.serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", claimed)
			_, _ = w.Write(file)
		}
		r := h.get(h.path)
		if r.status != http.StatusOK || !bytes.Equal(r.body, file) {
			t.Errorf("%q: %d %q", claimed, r.status, r.body)
		}
		wantHeaders(t, r.header, "application/octet-stream", "attachment")
	}
	for want, head := range map[string]string{
		"image/jpeg": "\xff\xd8\xff\xe0", "image/gif": "GIF89a", "image/webp": "RIFF\x00\x00\x00\x00WEBPVP", "video/webm": "\x1a\x45\xdf\xa3webm",
		"video/mp4": "\x00\x00\x00\x18ftypisom", "video/quicktime": "\x00\x00\x00\x14ftypqt  ", "image/heic": "\x00\x00\x00\x18ftypheic",
	} {
		h.serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, head+strings.Repeat("<html>", 300))
		}
		wantHeaders(t, h.get(h.path).header, want, "inline")
	}
}

func TestMediaThatAreTooLarge(t *testing.T) {
	h := newHostile(t)
	h.serve = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "100000000") }
	if detail := h.refused(http.StatusBadGateway, "media-too-large"); !strings.Contains(detail, "50 MiB") {
		t.Error(detail)
	}
	// A server that does not say how much it sends is cut off, and its answer does not pass for whole.
	h.serve = func(w http.ResponseWriter, r *http.Request) {
		for part := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}
	resp := h.open()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil || n > 50<<20 {
		t.Errorf("%d bytes are passed on as a whole: %v", n, err)
	}
}

// open begins to ask for the media.
func (h *hostile) open() *http.Response {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.url+h.path, nil)
	if err != nil {
		h.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestMediaFromElsewhere(t *testing.T) {
	h := newHostile(t)
	reached := make(chan string, 10)
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header.Get("X-User") }))
	defer elsewhere.Close()
	own := h.address
	for _, address := range []string{
		elsewhere.URL + "/media?key=key-of-the-media", "https://localhost:1/?key-of-the-media", "http://example.com/", "https://169.254.169.254/latest",
		"file:///etc/passwd", "https://user:pw@example.com/", "//example.com", "", "https://[::1]/",
	} {
		h.address = address
		h.refused(http.StatusBadGateway, "media-unavailable")
	}
	h.address = own
	h.serve = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }
	h.refused(http.StatusBadGateway, "media-unavailable")
	h.serve = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/media", http.StatusFound) }
	h.refused(http.StatusBadGateway, "media-unavailable")
	h.serve = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, h.token+" is wrong", http.StatusForbidden) }
	h.refused(http.StatusBadGateway, "media-unavailable")
	h.serve = func(http.ResponseWriter, *http.Request) {} // nothing at all
	h.refused(http.StatusBadGateway, "media-unavailable")
	if len(reached) > 0 {
		t.Errorf("another host got the token %q", <-reached)
	}
}

// Media may take longer to come than the server lets short calls take.
func TestMediaThatComeSlowly(t *testing.T) {
	h := newHostileOn(t, serveWithin(t, outboundtest.New(t), shortly))
	h.serve = func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			_, _ = w.Write(make([]byte, 1<<10))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(shortly * 3 / 4): // the limits of the server are real time
			case <-r.Context().Done():
			}
		}
	}
	resp := h.open()
	if whole, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || len(whole) != 3<<10 || err != nil {
		t.Errorf("%d: %d bytes, %v", resp.StatusCode, len(whole), err)
	}
}

// A server that hangs, at the beginning or in the middle, holds nothing for ever; the process's end does not wait for it either.
func TestMediaThatHang(t *testing.T) {
	h := newHostile(t)
	gone := make(chan struct{}, 10)
	hang := func(sent int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(make([]byte, sent))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			gone <- struct{}{}
		}
	}
	h.serve = hang(0)
	h.refused(http.StatusBadGateway, "media-unavailable") // time passes while it waits
	<-gone
	h.serve = hang(100)
	h.refused(http.StatusBadGateway, "media-unavailable")
	<-gone
	broken := func() {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.url+h.path, nil)
			var resp *http.Response
			if err == nil {
				resp, err = http.DefaultClient.Do(r)
			}
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			done <- err
		}()
		if err := outboundtest.Passing(h.Bench, done); err == nil {
			t.Error("a part passes for the whole")
		}
		<-gone
	}
	h.serve = hang(4096)
	before := h.Clock.Now()
	broken()
	if waited := h.Clock.Since(before); waited < 30*time.Second || waited > 5*time.Minute { // not after the ten minutes that all may take
		t.Errorf("cut off after %s", waited)
	}
	h.end()
	before = h.Clock.Now()
	broken()
	if waited := h.Clock.Since(before); waited >= 30*time.Second { // the time goes on while it ends
		t.Errorf("a process that ends waits %s", waited)
	}
}
