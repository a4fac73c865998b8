package messagingapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi"
	"github.com/tiktok-operator/tiktok-operator/internal/messagingapi/messagingapitest"
	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
)

// served is the API behind HTTP, without access control.
type served struct {
	*outboundtest.Bench
	url string
}

func serve(t *testing.T, policy messaging.Policy) *served {
	t.Helper()
	b := outboundtest.New(t)
	return &served{Bench: b, url: serveOn(b, policy)}
}

// serveOn serves another API on the same bench.
func serveOn(b *outboundtest.Bench, policy messaging.Policy) string {
	b.Helper()
	api, _ := messagingapitest.New(b, policy, logr.Discard())
	mux := http.NewServeMux()
	for _, route := range messagingapitest.Routes(api) {
		mux.Handle(route.Pattern, route.Handle)
	}
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	return server.URL + "/v1/namespaces/shop/channels/main"
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// problem is the name of its type; "" if it is none.
func (r reply) problem(t testing.TB) (name, detail string) {
	t.Helper()
	if r.status < 400 {
		return "", ""
	}
	var p struct{ Type, Title, Detail string }
	if err := json.Unmarshal(r.body, &p); err != nil || r.header.Get("Content-Type") != problem.ContentType {
		t.Fatalf("%d is not answered with a problem: %s", r.status, r.body)
	}
	name, ok := strings.CutPrefix(p.Type, problem.TypePrefix)
	if !ok || p.Title == "" || p.Detail == "" {
		t.Fatalf("a problem without its parts: %s", r.body)
	}
	return name, p.Detail
}

// message is the message that was sent.
func (r reply) message(t testing.TB) (m messagingapi.Message) {
	t.Helper()
	if r.status != http.StatusCreated && r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// do makes a request, and lets the time pass for which it waits.
func (s *served) do(method, address, contentType string, body []byte, header map[string]string) reply {
	s.Helper()
	done := make(chan reply, 1)
	go func() {
		r, err := http.NewRequestWithContext(s.Context(), method, address, bytes.NewReader(body))
		if err != nil {
			s.Error(err)
			done <- reply{}
			return
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		for name, value := range header {
			r.Header.Set(name, value)
		}
		// The default client's connections are closed whenever a test server of any test is.
		own := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := own.Do(r)
		if err != nil {
			s.Error(err)
			done <- reply{}
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			s.Error(err)
		}
		done <- reply{resp.StatusCode, resp.Header, text}
	}()
	return outboundtest.Passing(s.Bench, done)
}

func (s *served) conversationURL(id string) string {
	return s.url + "/conversations/" + url.PathEscape(id)
}

// send sends JSON to the bench's conversation.
func (s *served) send(body string, header map[string]string) reply {
	s.Helper()
	return s.do(http.MethodPost, s.conversationURL(s.Conversation)+"/messages", "application/json", []byte(body), header)
}

// form is a multipart form of files and fields, in this order.
func form(t testing.TB, parts ...[2]string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, part := range parts {
		to, err := w.CreateFormField(part[0])
		if err == nil {
			_, err = io.WriteString(to, part[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}
