package inbound

import (
	"context"
	"errors"
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
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

var (
	binaries string // folder of the built binaries
	cluster  Cluster
)

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "4") // the tests wait for a good part of their time
	}
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "inbound suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (_ int, err error) {
	log.SetLogger(logr.Discard())
	if binaries, err = os.MkdirTemp("", "tiktok-operator-inbound-"); err != nil {
		return 1, fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(binaries)
	if err := program.Build(context.Background(), binaries, []string{"webhook", "nats-server"}); err != nil {
		return 1, err
	}
	var stop func() error
	cluster, stop, err = OpenCluster(filepath.Join("..", "..", "config", "crd", "bases"))
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// TestFaults takes each fault with few events: make load ARGS=faults does with many.
func TestFaults(t *testing.T) {
	if err := lookAtSources(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var rows []Row
	t.Cleanup(func() { t.Logf("\n%s", Markdown(rows)) })
	for _, f := range Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			row, err := f.Run(t.Context(), Options{
				Cluster: cluster, Binaries: binaries, Dir: t.TempDir(), Events: 1000, Conversations: 50, Away: 2 * time.Second, Crashes: 3,
			})
			if errors.Is(err, ErrNoSmallDisk) || errors.Is(err, ErrNoClock) {
				t.Skip(err)
			}
			mu.Lock()
			rows = append(rows, row)
			mu.Unlock()
			if err := errors.Join(err, row.Err()); err != nil {
				t.Error(err)
			}
			if row.Again == 0 && row.Acknowledged > 0 {
				t.Error("nothing was sent again, so repeated webhooks were not tried")
			}
		})
	}
}

// TestADiskThatFillsUpAtOnce: the server's own write fails, before the event log could refuse. The liveness probe says so, and a restart mends it.
func TestADiskThatFillsUpAtOnce(t *testing.T) {
	f := Fault{Name: "disk full at once", prepare: smallDiskFor, strike: diskFullAtOnce, refusals: []int{noAnswer}}
	row, err := f.Run(t.Context(), Options{
		Cluster: cluster, Binaries: binaries, Dir: t.TempDir(), Events: 1000, Conversations: 50, Away: 2 * time.Second, Crashes: 1,
	})
	if errors.Is(err, ErrNoSmallDisk) {
		t.Skip(err)
	}
	if err := errors.Join(err, row.Err()); err != nil {
		t.Error(err)
	}
}

// lookAtSources looks at the sources of the webhook binary. The go command takes a result from its cache if the files that the tests looked at
// have not changed, and does not know that a binary was built from others. What TestMain looks at does not count.
func lookAtSources() error {
	top := filepath.Join("..", "..")
	for _, dir := range []string{"api", "cmd", "internal", "go.mod"} {
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
}
