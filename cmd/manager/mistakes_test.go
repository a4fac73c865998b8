package main

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

func TestHelp(t *testing.T) {
	r := suite.Run(t, nil, "--help")
	if r.Code != 0 || r.Stderr != "" {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
	_, fs, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	processtest.Help(t, r.Stdout, fs)
}

// Whatever is wrong with what the process is told, it says so in one line, and ends.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for name, tc := range map[string]struct {
		args, env []string
		says      []string
	}{
		"unknown flag":    {args: []string{"--nonsense"}, says: []string{"--nonsense", "--help"}},
		"argument":        {args: []string{"serve"}, says: []string{`"serve"`, "--help"}},
		"boolean":         {args: []string{"--leader-elect=maybe"}, says: []string{"--leader-elect", "true or false"}},
		"number":          {args: []string{"--concurrent-channels=some"}, says: []string{"--concurrent-channels", "whole number"}},
		"none at once":    {args: []string{"--concurrent-channels=0"}, says: []string{"--concurrent-channels", "at least 1"}},
		"variable":        {env: []string{"TIKTOK_OPERATOR_KUBE_API_QPS=many"}, says: []string{"TIKTOK_OPERATOR_KUBE_API_QPS", "--kube-api-qps", "number"}},
		"links":           {args: []string{"--authorization-links=other"}, says: []string{"--authorization-links", "status or api", `"other"`}},
		"address":         {args: []string{"--metrics-bind-address=8080"}, says: []string{"--metrics-bind-address", ":8080"}},
		"port twice":      {args: []string{"--metrics-bind-address=127.0.0.1:8081"}, says: []string{"--metrics-bind-address", "--health-probe-bind-address", "8081"}},
		"namespace names": {args: []string{"--watch-namespaces=a,B"}, says: []string{"--watch-namespaces", `"B"`}},
		"namespace name":  {args: []string{"--namespace=a/b"}, says: []string{"--namespace", `"a/b"`}},
		"pod's namespace": {env: []string{"POD_NAMESPACE=$(NS)"}, says: []string{"--namespace", `"$(NS)"`}},
		"journal":         {args: []string{"--kubeconfig=" + suite.Kubeconfig(), "--journal-dir=" + file}, says: []string{"--journal-dir", file}},
		"no kubeconfig":   {says: []string{"--kubeconfig", "KUBECONFIG"}},
		"kubeconfig":      {args: []string{"--kubeconfig=" + missing}, says: []string{"--kubeconfig", missing}},
		"not one":         {env: []string{"KUBECONFIG=" + file}, says: []string{"KUBECONFIG", file}},
	} {
		t.Run(name, func(t *testing.T) {
			suite.Run(t, tc.env, tc.args...).Complains(t, "manager", 2, tc.says...)
		})
	}
}

// What may be right the next time ends with another code, so that nobody looks for a mistake in the flags.
func TestMissingSurroundings(t *testing.T) {
	addresses := processtest.Addresses(t, 2)
	flags := func(more ...string) []string {
		return append([]string{
			"--kubeconfig=" + suite.Kubeconfig(), "--metrics-bind-address=" + addresses[0], "--health-probe-bind-address=" + addresses[1],
		}, more...)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--metrics-bind-address", "--health-probe-bind-address"} {
		suite.Run(t, nil, flags(flag+"="+taken.Addr().String())...).Complains(t, "manager", 1, flag, taken.Addr().String(), "in use")
	}
	empty := httptest.NewServer(nil) // as an API server without our CRDs answers, though it is none: 404
	suite.Run(t, nil, flags("--kubeconfig="+processtest.WriteKubeconfig(t, empty.URL))...).Complains(t, "manager", 1, "CRDs", empty.URL, "kubectl apply")
	empty.Close()
	suite.Run(t, nil, flags("--kubeconfig="+processtest.WriteKubeconfig(t, empty.URL))...).Complains(t, "manager", 1, empty.URL, "does not answer")
}
