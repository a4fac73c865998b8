package process

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A server that begins an answer and goes on with it when it is told to: a request of every other kind is given up, a watch is not.
func TestRequestsAreBoundedAndWatchesAreNot(t *testing.T) {
	goOn := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "beginning ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "and end")
	}))
	defer server.Close()
	web := &http.Client{Transport: &bounded{next: http.DefaultTransport, limit: 50 * time.Millisecond}}
	get := func(query string) (io.ReadCloser, error) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := web.Do(r)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	watch, err := get("/?allowWatchBookmarks=true&watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	list, err := get("/?resourceVersion=0")
	var text []byte
	if err == nil { // else it was given up before it began, as it may be on a busy machine
		defer list.Close()
		text, err = io.ReadAll(list)
	}
	if !errors.Is(err, context.DeadlineExceeded) { // the watch is older than its limit now
		t.Errorf("a list that hangs gives %q, %v; want context.DeadlineExceeded", text, err)
	}
	close(goOn)
	if text, err := io.ReadAll(watch); err != nil || string(text) != "beginning and end" {
		t.Errorf("the watch gives %q, %v", text, err)
	}
}
