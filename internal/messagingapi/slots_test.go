package messagingapi_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

// Of one channel 16 downloads are under way at once; another one is put off, until one of them has ended.
func TestDownloadsAreLimited(t *testing.T) {
	h := newHostile(t)
	begun, goOn := make(chan struct{}, 20), make(chan struct{})
	h.serve = func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-goOn
		_, _ = w.Write([]byte("plain"))
	}
	ended := make(chan int, 20)
	for range 16 {
		go func() {
			resp, err := http.Get(h.url + h.path)
			if err != nil {
				ended <- 0
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			ended <- resp.StatusCode
		}()
	}
	for range 16 {
		<-begun
	}
	r := h.get(h.path)
	if name, _ := r.problem(t); r.status != http.StatusServiceUnavailable || name != "too-many-downloads" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	close(goOn)
	for range 16 {
		if status := <-ended; status != http.StatusOK {
			t.Errorf("a download was answered %d", status)
		}
	}
	h.Eventually("room for another", func() bool { return h.get(h.path).status == http.StatusOK })
}

// Of one channel 16 images are held in memory at once, as long as their requests last.
func TestUploadsAreLimited(t *testing.T) {
	s := serve(t, messaging.Lenient)
	path := s.conversationURL(s.Conversation) + "/messages"
	kind, image := form(t, [2]string{"image", "no image"})
	answered := make(chan struct{}, 20)
	var bodies []*io.PipeWriter
	for range 16 {
		body, w := io.Pipe()
		bodies = append(bodies, w)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		go func() {
			if resp, err := http.DefaultClient.Do(request); err == nil {
				_ = resp.Body.Close()
			}
			answered <- struct{}{}
		}()
	}
	full := func() bool {
		r := s.do(http.MethodPost, path, kind, image, nil)
		name, _ := r.problem(t)
		return r.status == http.StatusServiceUnavailable && name == "too-many-uploads" && r.header.Get("Retry-After") != ""
	}
	s.Eventually("a refusal", full)
	if r := s.do(http.MethodPost, path, "application/json", []byte(`{"text":"Hello"}`), nil); r.status != http.StatusCreated {
		t.Errorf("a text is answered %d %s", r.status, r.body)
	}
	for _, body := range bodies {
		_ = body.Close()
	}
	for range 16 {
		<-answered
	}
	s.Eventually("room for another", func() bool { return !full() })
}
