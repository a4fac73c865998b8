package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestOfALongLogTheEndIsTaken has the API server's answer be longer than what a bundle takes.
func TestOfALongLogTheEndIsTaken(t *testing.T) {
	line := strings.Repeat("x", 100)
	lines := 3 * maxLog / len(line)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("previous") == "true" {
			_, _ = fmt.Fprint(w, "short\n")
			return
		}
		log := &strings.Builder{}
		for i := range lines {
			_, _ = fmt.Fprintf(log, "%08d %s\n", i, line)
		}
		text := log.String()
		if limit := r.URL.Query().Get("limitBytes"); limit != "" { // as a kubelet has it
			var n int
			_, _ = fmt.Sscan(limit, &n)
			text = text[:min(n, len(text))]
		}
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	clients, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	b := &bundle{tar: tar.NewWriter(&archive), clients: clients}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "operator", Name: "webhook-1"}}
	b.log(t.Context(), pod, "webhook", false)
	b.log(t.Context(), pod, "webhook", true)
	if b.broken != nil || b.failed == nil || strings.Count(b.failed.Error(), "\n") != 0 ||
		!strings.Contains(b.failed.Error(), "logs/webhook-1/webhook.log: the log is longer") {
		t.Errorf("errors.txt says %v (%v)", b.failed, b.broken)
	}
	files := tar.NewReader(&archive)
	for _, want := range []struct{ name, last string }{
		{"webhook.log", fmt.Sprintf("%08d %s\n", lines-1, line)}, {"webhook-previous.log", "short\n"},
	} {
		header, err := files.Next()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(header.Name, "/logs/webhook-1/"+want.name) || !strings.HasSuffix(string(text), want.last) {
			t.Errorf("%s of %d bytes ends with %q", header.Name, len(text), text[max(0, len(text)-200):])
		}
		if len(text) > maxLog || len(text)%len(want.last) != 0 {
			t.Errorf("%s has %d bytes, of lines of %d", header.Name, len(text), len(want.last))
		}
	}
}

func TestNewestKeepsWholeLines(t *testing.T) {
	broken := errors.New("the connection broke")
	for in, want := range map[string]struct {
		lines string
		cut   bool
	}{
		"":                             {"", false},
		"one\ntwo\n":                   {"one\ntwo\n", false},
		"0\n1234\n6789\n":              {"1234\n6789\n", true}, // a line begins right at the limit
		"01\n23456\n6789\n":            {"6789\n", true},
		"0\n12345\n67890":              {"67890", true}, // the last line is under way
		strings.Repeat("x", 11) + "\n": {"", true},
		strings.Repeat("0123\n", 50):   {"0123\n0123\n", true},
	} {
		for _, end := range []error{nil, broken} {
			source := io.Reader(iotest.OneByteReader(strings.NewReader(in)))
			if end != nil {
				source = io.MultiReader(source, iotest.ErrReader(end))
			}
			lines, cut, err := newest(source, 10)
			if string(lines) != want.lines || cut != want.cut || !errors.Is(err, end) {
				t.Errorf("of %q there is %q, cut %t: %v; want %q, %t: %v", in, lines, cut, err, want.lines, want.cut, end)
			}
		}
	}
}
