package docs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// needs skips the test on a machine without a tool.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the pages need %s, which this machine has not", tool)
		}
	}
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), name, args...)
}

// stage is the demo, empty, with everything running.
type stage struct {
	env string // the file of addresses
	// programs is a folder with the kubectl plugin.
	programs string
	// private is the address of the private listener, which pages reach by a port that they forward.
	private string
}

// openStage starts the demo as make does.
func openStage(t *testing.T) *stage {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run make test")
	}
	observe(t)
	dir := t.TempDir()
	build := command(t, "go", "build", "-buildvcs=false", "-o", dir, "./hack/demo", "./cmd/kubectl-tiktok")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &stage{env: filepath.Join(dir, "demo.env"), programs: dir}
	printed := &output{}
	demo := exec.CommandContext(context.Background(), filepath.Join(dir, "demo"), "--empty", "--env", s.env) //nolint:usetesting // it ends in order
	demo.Dir, demo.Stdout, demo.Stderr = top, printed, printed
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KUBECONFIG=") { // of somebody's own cluster
			demo.Env = append(demo.Env, v)
		}
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGINT)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the demo ended badly: %v", err)
			}
		case <-time.After(2 * time.Minute):
			_ = demo.Process.Kill()
			t.Error("the demo does not end")
		}
		if t.Failed() {
			t.Logf("the demo printed:\n%s", printed)
		}
	})
	if err := program.Wait(t.Context(), 3*time.Minute, "the demo to run", func() (bool, error) {
		select {
		case err := <-ended:
			ended <- err
			return false, fmt.Errorf("it ended: %w", err)
		default:
		}
		_, err := os.Stat(s.env)
		return err == nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	address, err := command(t, "sh", "-c", `. "$0"; printf %s "${PRIVATE#https://}"`, s.env).Output()
	if err != nil {
		t.Fatal(err)
	}
	s.private = string(address)
	return s
}

// observe opens the sources of the programs that the demo builds and runs: a result that go test has kept is then not taken for one of other code.
func observe(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"api", "cmd", "config", "controllers", "hack/demo", "internal"} {
		err := filepath.WalkDir(filepath.Join(top, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// directory is where a page's commands run: what they name of a checkout is there, and the file of addresses.
func (s *stage) directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	checkout, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Mkdir(filepath.Join(dir, "bin"), 0o700)
	for link, to := range map[string]string{
		"config": filepath.Join(checkout, "config"), "docs": filepath.Join(checkout, "docs"), "bin/demo.env": s.env,
	} {
		err = errors.Join(err, os.Symlink(to, filepath.Join(dir, link)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a script and returns what it printed.
func (s *stage) run(t *testing.T, dir, what, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", strings.ReplaceAll(script, "localhost:8443", s.private))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &printed, &printed
	cmd.Env = append(os.Environ(), "HOME="+dir, "PATH="+os.Getenv("PATH")+string(filepath.ListSeparator)+s.programs) // no configuration of curl, kubectl and others
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what it started
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, printed.String())
	}
	return printed.String()
}

// TestPages runs the commands of the pages that tell people what to do, each page as one script, against the real programs and the simulator.
func TestPages(t *testing.T) {
	needs(t, "bash", "curl", "jq", "kubectl", "base64")
	s := openStage(t)
	names := make([]string, 0, len(scenes))
	for page := range scenes {
		names = append(names, page)
	}
	slices.SortFunc(names, func(a, b string) int {
		if scenes[a].last == scenes[b].last {
			return cmp.Compare(a, b)
		}
		return map[bool]int{true: 1, false: -1}[scenes[a].last]
	})
	for _, page := range names {
		t.Run(page, func(t *testing.T) {
			dir := s.directory(t)
			s.run(t, dir, "making room", prelude+cleanUp)
			scene := scenes[page]
			if scene.before != "" {
				s.run(t, dir, "what the page begins with", prelude+scene.before)
			}
			var script strings.Builder
			if !scene.ownEnvironment {
				script.WriteString(". bin/demo.env\n")
			}
			for _, b := range blocksOf(t, page) {
				if b.language == "sh" && b.notRun == "" {
					fmt.Fprintf(&script, ": %s:%d\n%s", page, b.line, b.text)
				}
			}
			printed := s.run(t, dir, page, script.String())
			for _, want := range scene.prints {
				if !strings.Contains(printed, want) {
					t.Errorf("the output has no %s:\n%s", want, printed)
				}
			}
			if scene.after != "" {
				s.run(t, dir, "what must be so afterwards", prelude+scene.after)
			}
		})
	}
	t.Run("manifests", func(t *testing.T) {
		dir := s.directory(t)
		s.run(t, dir, "making room", prelude+cleanUp)
		for _, page := range pages(t) {
			s.manifests(t, dir, page)
		}
	})
}

// manifests has the API server check, and not store, the objects that a page shows.
func (s *stage) manifests(t *testing.T, dir, page string) {
	t.Helper()
	for _, b := range blocksOf(t, page) {
		if b.language != "yaml" || b.notRun != "" || !strings.Contains("\n"+b.text, "\napiVersion:") {
			continue
		}
		file := filepath.Join(dir, "manifest.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(t, dir, fmt.Sprintf("%s:%d", page, b.line), prelude+"kubectl apply --dry-run=server --filename manifest.yaml")
	}
}
