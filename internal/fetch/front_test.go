package fetch_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// front makes TikTok's lists lag, and lets a business's calls wait.
type front struct {
	http.Handler

	mu     sync.Mutex
	hidden map[string]bool          // conversations that are not listed
	held   map[string]chan struct{} // by business: its calls are answered once it is closed
	// listed counts how often each list was read while something was hidden.
	listed int
	// onList, if not nil, is called after such a reading.
	onList func(listed int)
}

// hide keeps a conversation out of the lists.
func (f *front) hide(conversation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden[conversation] = true
}

// show lists all.
func (f *front) show() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.hidden)
}

// hold lets a business's calls wait until the returned function is called.
func (f *front) hold(business string) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := make(chan struct{})
	f.held[business] = held
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.held, business)
		close(held)
	})
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	held, hides := f.held[r.URL.Query().Get("business_id")], len(f.hidden) > 0
	f.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	if !hides || !strings.HasSuffix(r.URL.Path, "/"+conversations) {
		f.Handler.ServeHTTP(w, r)
		return
	}
	recorder := httptest.NewRecorder()
	f.Handler.ServeHTTP(recorder, r)
	f.mu.Lock()
	f.listed++
	body := f.without(recorder.Body.Bytes())
	listed, onList := f.listed, f.onList
	f.mu.Unlock()
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(body)
	if onList != nil {
		onList(listed)
	}
}

func (f *front) without(answer []byte) []byte {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return answer
	}
	data, ok := fields["data"].(map[string]any)
	if !ok {
		return answer
	}
	list, _ := data["conversations"].([]any)
	data["conversations"] = slices.DeleteFunc(list, func(c any) bool {
		fields, _ := c.(map[string]any)
		id, _ := fields["conversation_id"].(string)
		return f.hidden[id]
	})
	changed, err := json.Marshal(fields)
	if err != nil {
		return answer
	}
	return changed
}
