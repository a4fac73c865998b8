// Package faults proves with real processes what docs/explanation/token-life.md promises: a refresh is never lost, and never made twice. The
// manager is the built binary, which is killed, stopped and cut off; etcd and kube-apiserver are real, and die too; only TikTok is simulated.
package faults

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

var (
	binaries string // folder of the built binaries
	cluster  *controlPlane
	k8s      client.Client // the tests' own, which no fault touches
)

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "12") // the tests wait, most of the time
	}
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (_ int, err error) {
	ctx := context.Background()
	log.SetLogger(logr.Discard())
	if binaries, err = os.MkdirTemp("", "tiktok-operator-faults-"); err != nil {
		return 1, fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(binaries)
	if err := program.Build(ctx, binaries, []string{"manager", "webhook"}); err != nil {
		return 1, err
	}
	if cluster, err = startControlPlane(ctx, filepath.Join(binaries, "cluster")); err != nil {
		return 1, fmt.Errorf("starting the control plane (make test sets KUBEBUILDER_ASSETS): %w", err)
	}
	defer cluster.stop()
	cfg := &rest.Config{
		Host: "https://" + cluster.address, BearerToken: clusterToken, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		QPS: 1000, Burst: 1000, Timeout: 20 * time.Second,
	}
	if _, err := envtest.InstallCRDs(cfg, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfPathMissing: true,
	}); err != nil {
		return 1, fmt.Errorf("installing the CRDs: %w", err)
	}
	if k8s, err = client.New(cfg, client.Options{Scheme: process.Scheme()}); err != nil {
		return 1, fmt.Errorf("making a client: %w", err)
	}
	return m.Run(), nil
}

// lookAtSources looks at the sources of the binaries. The go command takes a result from its cache if the files that the tests looked at have
// not changed, and does not know that a binary was built from others. What TestMain looks at does not count.
var lookAtSources = sync.OnceValue(func() error {
	top := filepath.Join("..", "..")
	for _, dir := range []string{"api", "cmd", "controllers", "internal", "go.mod"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && !strings.HasSuffix(path, "_test.go") {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("looking at the sources: %w", err)
		}
	}
	return nil
})
