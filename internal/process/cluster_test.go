package process_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],
"users":[{"name":"c","user":{"token":"precious"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}`, server)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRESTConfig(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", kubeconfig(t, "http://from-variable"))
	f, err := parse(t, "--kube-api-qps=7", "--kube-api-burst=9")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := f.RESTConfig()
	if err != nil || cfg.Host != "http://from-variable" || cfg.QPS != 7 || cfg.Burst != 9 {
		t.Errorf("config %v, error %v", cfg, err)
	}
	if cfg.Timeout != 0 {
		t.Error("a timeout of the whole client cuts watches off")
	}
	f.Kubeconfig = kubeconfig(t, "http://from-flag")
	if cfg, err := f.RESTConfig(); err != nil || cfg.Host != "http://from-flag" {
		t.Errorf("config %v, error %v; the flag wins over the variable", cfg, err)
	}

	t.Setenv("KUBECONFIG", "")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("users: [precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", filepath.Join(t.TempDir(), "missing"), broken, t.TempDir(), os.DevNull} {
		f.Kubeconfig = path
		_, err := f.RESTConfig()
		if !errors.As(err, new(*process.InvalidError)) || !strings.Contains(err.Error(), "--kubeconfig") {
			t.Errorf("--kubeconfig=%s: error %v, want an InvalidError that names the flag", path, err)
		}
		if err != nil && strings.Contains(err.Error(), "precious") {
			t.Errorf("the error repeats what is in the file: %v", err)
		}
	}
}

func TestCheckCluster(t *testing.T) {
	kinds := func(names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/apis/channels.tiktok-operator.io/v1alpha1" || r.Header.Get("Authorization") != "Bearer precious" {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			list := ""
			for i, n := range names {
				list += map[bool]string{true: ","}[i > 0] + fmt.Sprintf(`{"name":%q,"kind":"X","namespaced":true,"verbs":["list"]}`, n)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"channels.tiktok-operator.io/v1alpha1","resources":[%s]}`, list)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"complete":      {handler: kinds("tiktokapps", "tiktokchannels", "tiktokchannels/status")},
		"no CRDs":       {handler: status(http.StatusNotFound), says: "the CRDs of tiktok-operator are not installed"},
		"one CRD":       {handler: kinds("tiktokapps"), says: "the CRDs of tiktok-operator are not installed"},
		"unknown user":  {handler: status(http.StatusUnauthorized), says: "refuses the credentials"},
		"not permitted": {handler: status(http.StatusForbidden), says: "refuses the credentials"},
		"broken":        {handler: status(http.StatusInternalServerError), says: "does not answer"},
		"absent":        {says: "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			defer server.Close()
			if tc.handler == nil {
				server.Close()
			}
			err := process.CheckCluster(t.Context(), &rest.Config{Host: server.URL, BearerToken: "precious"})
			if tc.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), server.URL) || strings.Contains(err.Error(), "precious") {
				t.Errorf("error %v, want one that says %q and the address, and no token", err, tc.says)
			}
			if errors.As(err, new(*process.InvalidError)) {
				t.Error("what is wrong is outside: starting again may help")
			}
		})
	}
}
