package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// TestMain has the tests run where the demo does: at the checkout's top.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "4") // the tests wait more than they work
	}
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// built is the folder of the binaries that all stages run, unless make test has built them already.
var built string

var build = sync.OnceValue(func() (err error) {
	if os.Getenv(program.Built) != "" {
		return nil
	}
	if built, err = os.MkdirTemp("", "tiktok-operator-demo-"); err != nil {
		return err
	}
	if err := program.Build(context.Background(), built, []string{"manager", "webhook", "tiktok-simulator", "kubectl-tiktok"}); err != nil {
		return err
	}
	return os.Setenv(program.Built, built)
})

// open opens a stage. The tests of one run at the same time.
func open(ctx context.Context, t *testing.T, s *stage) {
	t.Helper()
	must(t, "building the binaries", build())
	must(t, "opening the stage", s.open(ctx))
}
