package browser_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// noBrowser is how the script says that no browser can be had.
const noBrowser = 3

// chromium is the one browser of all tests; each has a profile of its own in it.
var chromium struct {
	once    sync.Once
	ctx     context.Context
	stop    func()
	missing string
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

// started is the browser, started by the first who asks. Where none can be had, the test is skipped.
func started(t *testing.T) context.Context {
	t.Helper()
	chromium.once.Do(func() {
		path, err := find()
		if err != nil {
			chromium.err = err
			return
		}
		chromium.ctx, chromium.stop, chromium.err = start(path)
	})
	var exit *exec.ExitError
	if errors.As(chromium.err, &exit) && exit.ExitCode() == noBrowser {
		t.Skip(chromium.missing)
	}
	if chromium.err != nil {
		t.Fatalf("starting the browser: %v", chromium.err)
	}
	return chromium.ctx
}

// find is the path of a browser.
func find() (string, error) {
	var path, said bytes.Buffer
	script, err := filepath.Abs("../../hack/browser/ensure.sh")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(script)
	cmd.Stdout, cmd.Stderr = &path, io.MultiWriter(&said, os.Stderr)
	err = cmd.Run()
	chromium.missing = strings.TrimSpace(said.String())
	return strings.TrimSpace(path.String()), err
}

func start(path string) (context.Context, func(), error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		// Whatever else a page or the browser itself asks for is not found, so that no test depends on the internet.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("lang", "en-US"),
	)
	if os.Getuid() == 0 { // Chromium refuses to be root in its sandbox
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, quit := chromedp.NewContext(allocator)
	stop := func() { quit(); free() }
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return ctx, stop, nil
}
