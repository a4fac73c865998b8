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
	r := suite.Run(t, []string{"TIKTOK_OPERATOR_NATS_URL=precious"}, "--help")
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
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := "--data-dir=" + filepath.Join(dir, "data")
	missing := filepath.Join(dir, "missing")
	for name, tc := range map[string]struct {
		args, env []string
		says      []string
	}{
		"unknown flag":      {args: []string{"--nonsense"}, says: []string{"--nonsense", "--help"}},
		"argument":          {args: []string{"serve"}, says: []string{`"serve"`, "--help"}},
		"no value":          {args: []string{"--data-dir"}, says: []string{"--data-dir"}},
		"duration":          {args: []string{"--signature-tolerance=soon"}, says: []string{`"soon"`, "--signature-tolerance", "duration"}},
		"variable":          {env: []string{"TIKTOK_OPERATOR_SIGNATURE_TOLERANCE=soon"}, says: []string{"TIKTOK_OPERATOR_SIGNATURE_TOLERANCE", "duration"}},
		"negative":          {args: []string{data, "--signature-tolerance=-1h"}, says: []string{"--signature-tolerance", "between 1s and"}},
		"fsync":             {args: []string{"--fsync=never"}, says: []string{"--fsync", "always", "interval"}},
		"fsync too often":   {args: []string{"--fsync=1ms"}, says: []string{"--fsync", "10ms"}},
		"no event log":      {says: []string{"--data-dir", "--nats-url"}},
		"two event logs":    {args: []string{data, "--nats-url=nats://127.0.0.1:1"}, says: []string{"--data-dir", "--nats-url", "not both"}},
		"URL":               {args: []string{"--nats-url=nats://user:precious@%"}, says: []string{"--nats-url", "nats://nats.example:4222"}},
		"CA alone":          {args: []string{data, "--nats-ca-file=" + file}, says: []string{"--nats-ca-file", "--nats-url"}},
		"CA":                {args: []string{"--nats-url=nats://127.0.0.1:1", "--nats-ca-file=" + missing}, says: []string{"--nats-ca-file", missing}},
		"half a client":     {args: []string{"--nats-url=nats://127.0.0.1:1", "--nats-cert-file=" + file}, says: []string{"--nats-key-file", "both"}},
		"no client":         {args: []string{"--nats-url=nats://127.0.0.1:1", "--nats-cert-file=" + file, "--nats-key-file=" + file}, says: []string{"--nats-cert-file"}},
		"two copies":        {args: []string{"--nats-url=nats://127.0.0.1:1", "--nats-replicas=2"}, says: []string{"--nats-replicas", "1, 3 or 5"}},
		"copies of one":     {args: []string{data, "--nats-replicas=3"}, says: []string{"--nats-replicas", "--nats-url"}},
		"collector":         {args: []string{data, "--otlp-endpoint=collector:4318"}, says: []string{"--otlp-endpoint", "http://otel-collector:4318"}},
		"collector's key":   {args: []string{data, "--otlp-endpoint=http://a:precious@b"}, says: []string{"--otlp-endpoint", "OTEL_EXPORTER_OTLP_HEADERS"}},
		"share of traces":   {args: []string{data, "--trace-sample-ratio=1.5"}, says: []string{"--trace-sample-ratio", "from 0 to 1"}},
		"no share":          {args: []string{data, "--trace-sample-ratio=NaN"}, says: []string{"--trace-sample-ratio", "from 0 to 1"}},
		"rules":             {args: []string{data, "--message-rules=loose"}, says: []string{"--message-rules", "lenient or strict"}},
		"short retention":   {args: []string{data, "--event-log-max-age=24h"}, says: []string{"--event-log-max-age", "73h0m0s", "24h0m0s"}},
		"negative size":     {args: []string{data, "--event-log-max-bytes=-1Gi"}, says: []string{"--event-log-max-bytes"}},
		"small size":        {args: []string{data, "--event-log-max-bytes=20"}, says: []string{"--event-log-max-bytes", "64Mi at least", "not 20"}},
		"uncountable size":  {args: []string{data, "--event-log-max-bytes=9999999E"}, says: []string{"--event-log-max-bytes", "less than 8Ei"}},
		"odd size":          {args: []string{data, "--event-log-max-bytes=much"}, says: []string{"event-log-max-bytes"}},
		"credentials alone": {args: []string{data, "--nats-creds=" + file}, says: []string{"--nats-creds", "--nats-url"}},
		"credentials":       {args: []string{"--nats-url=nats://127.0.0.1:1", "--nats-creds=" + missing}, says: []string{"--nats-creds", missing}},
		"certificate alone": {args: []string{data, "--private-tls-cert-file=" + file}, says: []string{"--private-tls-key-file", "both"}},
		"key alone":         {args: []string{data, "--private-tls-key-file=" + file}, says: []string{"--private-tls-cert-file", "both"}},
		"no certificate":    {args: []string{data, "--private-tls-cert-file=" + missing, "--private-tls-key-file=" + file}, says: []string{"--private-tls-cert-file", missing}},
		"not a certificate": {args: []string{data, "--private-tls-cert-file=" + file, "--private-tls-key-file=" + file}, says: []string{"--private-tls-cert-file"}},
		"not a directory":   {args: []string{"--data-dir=" + file}, says: []string{"--data-dir", file}},
		"below a file":      {args: []string{"--data-dir=" + filepath.Join(file, "data")}, says: []string{"--data-dir", file}},
		"not writable":      {args: []string{"--data-dir=/proc/self/task"}, says: []string{"--data-dir", "/proc/self/task"}},
		"address":           {args: []string{data, "--public-bind-address=8080"}, says: []string{"--public-bind-address", ":8080"}},
		"public off":        {args: []string{data, "--public-bind-address=0"}, says: []string{"--public-bind-address", ":8080"}},
		"port twice":        {args: []string{data, "--public-bind-address=:8081"}, says: []string{"--public-bind-address", "--health-probe-bind-address", "8081"}},
		"namespace name":    {args: []string{data, "--watch-namespaces=a,B"}, says: []string{"--watch-namespaces", `"B"`}},
		"no kubeconfig":     {args: []string{data}, says: []string{"--kubeconfig", "KUBECONFIG"}},
		"kubeconfig":        {args: []string{data, "--kubeconfig=" + missing}, says: []string{"--kubeconfig", missing}},
		"not a kubeconfig":  {args: []string{data, "--kubeconfig=" + file}, says: []string{"--kubeconfig", file}},
	} {
		t.Run(name, func(t *testing.T) {
			suite.Run(t, tc.env, tc.args...).Complains(t, "webhook", 2, tc.says...)
		})
	}
}

// What may be right the next time ends with another code, so that nobody looks for a mistake in the flags.
func TestMissingSurroundings(t *testing.T) {
	addresses := processtest.Addresses(t, 4)
	flags := func(more ...string) []string {
		return append([]string{
			"--kubeconfig=" + suite.Kubeconfig(), "--data-dir=" + t.TempDir(), "--public-bind-address=" + addresses[0],
			"--private-bind-address=" + addresses[1], "--metrics-bind-address=" + addresses[2], "--health-probe-bind-address=" + addresses[3],
		}, more...)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--public-bind-address", "--private-bind-address", "--metrics-bind-address", "--health-probe-bind-address"} {
		suite.Run(t, nil, flags(flag+"="+taken.Addr().String())...).Complains(t, "webhook", 1, flag, taken.Addr().String(), "in use")
	}
	empty := httptest.NewServer(nil) // as an API server without our CRDs answers, though it is none: 404
	suite.Run(t, nil, flags("--kubeconfig="+processtest.WriteKubeconfig(t, empty.URL))...).Complains(t, "webhook", 1, "CRDs", empty.URL, "kubectl apply")
	empty.Close()
	suite.Run(t, nil, flags("--kubeconfig="+processtest.WriteKubeconfig(t, empty.URL))...).Complains(t, "webhook", 1, empty.URL, "does not answer")
	suite.Run(t, nil, flags("--data-dir=", "--nats-url=nats://127.0.0.1:1")...).Complains(t, "webhook", 1, "--nats-url", "no servers available")
}
