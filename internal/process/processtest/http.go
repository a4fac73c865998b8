package processtest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Get asks a URL and returns the status and the body. Status 0 means no answer, which the body explains. Certificates are not verified.
func Get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	return get(t, url, nil)
}

func get(t *testing.T, url string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	web := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // self-signed, on loopback
		},
	}
	resp, err := web.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		return 0, err.Error()
	}
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// Ready waits until the readiness probe of the process answers 200.
func (r *Running) Ready(probes string) {
	r.t.Helper()
	r.Eventually("readiness", func() string {
		status, body := Get(r.t, "http://"+probes+"/readyz")
		if status == http.StatusOK {
			return ""
		}
		return fmt.Sprintf("%d %s", status, body)
	})
}

// RefusesLargeHeaders asserts that a server bounds what it reads of a request's head.
func RefusesLargeHeaders(t *testing.T, url string, size int) {
	t.Helper()
	status, body := get(t, url, http.Header{"X-Large": {strings.Repeat("x", size)}})
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s answers %d bytes of headers with %d %.200s, want 431", url, size, status, body)
	}
}
