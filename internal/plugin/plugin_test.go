package plugin

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestExitCodesTellUsageFromFailure(t *testing.T) {
	kubeconfig := t.TempDir() + "/config"
	if err := os.WriteFile(kubeconfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	forbidding := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer forbidding.Close()
	cluster := []string{"--kubeconfig", kubeconfig, "--server", forbidding.URL}
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"version"}, 0},
		{[]string{"nonsense"}, 2},
		{[]string{"status", "a", "b"}, 2},
		{[]string{"status", "a", "-A"}, 2},
		{append([]string{"status"}, cluster...), 1},
	} {
		var out, errOut strings.Builder
		if code := Main(t.Context(), "v1.2.3", tt.args, &out, &errOut); code != tt.code {
			t.Errorf("%v: exit code %d, want %d: %s", tt.args, code, tt.code, errOut.String())
		}
		if (tt.code == 0) != (errOut.String() == "") {
			t.Errorf("%v: stderr is %q", tt.args, errOut.String())
		}
	}
}
