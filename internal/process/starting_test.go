package process

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

func TestProbesAreAnsweredWhileStarting(t *testing.T) {
	ports, err := program.Ports(1) // the system would give one of its own to somebody else as soon as it is free
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if _, err := ServeStarting(t.Context(), address); err == nil {
		t.Error("an address that is in use was served")
	}
	_ = l.Close()
	for range 2 { // it leaves the address to whoever comes next
		stop, err := ServeStarting(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable, "/": http.StatusServiceUnavailable} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
			}
		}
		stop()
	}
	for _, none := range []string{"", "0"} {
		stop, err := ServeStarting(t.Context(), none)
		if err != nil {
			t.Fatal(err)
		}
		stop()
	}
}
