package docs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// needs skips the test on a machine without a tool. In CI it fails there: nobody reads what a test that passed has skipped.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("the pages need %s, which this machine has not", tool)
		}
		t.Skipf("the pages need %s, which this machine has not", tool)
	}
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), name, args...)
}

// stage is the demo, empty, with everything running.
type stage struct {
	// certificate is that of the private address, which it has signed itself.
	certificate []byte
	env         string // the file of addresses
	// addresses are those of the page, each followed by what it is here.
	addresses *strings.Replacer
	// goEnv is where go has its caches, which it would look for in the home directory.
	goEnv []string
}

// openStage starts the demo as make does, and puts what the pages need besides on the PATH: kubectl-tiktok, the control plane's kubectl, and a jq where
// the machine has none.
func openStage(t *testing.T) *stage {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run make test")
	}
	observe(t)
	dir := t.TempDir()
	if err := program.Build(t.Context(), dir, []string{"demo", "kubectl-tiktok"}); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("jq"); err != nil {
		gojq, err := command(t, filepath.Join(top, "hack", "tools", "ensure.sh"), "gojq").Output()
		if err := errors.Join(err, os.Symlink(strings.TrimSpace(string(gojq)), filepath.Join(dir, "jq"))); err != nil {
			t.Fatalf("making a jq: %v", err)
		}
	}
	t.Setenv("PATH", strings.Join([]string{dir, os.Getenv("PATH"), os.Getenv("KUBEBUILDER_ASSETS")}, string(os.PathListSeparator)))
	s := &stage{env: filepath.Join(dir, "demo.env")}
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
	addresses, err := command(t, "sh", "-c", `. "$0"; echo "$PRIVATE $PUBLIC"`, s.env).Output()
	if err != nil {
		t.Fatal(err)
	}
	private, public, _ := strings.Cut(strings.TrimSpace(string(addresses)), " ")
	s.addresses = strings.NewReplacer("localhost:8443", strings.TrimPrefix(private, "https://"), "https://tiktok.example.com", public)
	s.certificate = certificate(t, strings.TrimPrefix(private, "https://"))
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		where, err := command(t, "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		s.goEnv = append(s.goEnv, name+"="+strings.TrimSpace(string(where)))
	}
	return s
}

// observe opens the sources of the programs that the demo builds and runs: a result that go test has kept is then not taken for one of other code.
func observe(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"api", "cmd", "config", "controllers", "hack/alerts", "hack/demo", "internal"} {
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

// directory is where a page's commands run: what a checkout has is there, and the file of addresses.
func (s *stage) directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	checkout, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Mkdir(filepath.Join(dir, "bin"), 0o700)
	links := map[string]string{"bin/demo.env": s.env}
	for _, name := range []string{"api", "config", "docs", "go.mod", "go.sum", "hack", "internal"} {
		links[name] = filepath.Join(checkout, name)
	}
	for link, to := range links {
		err = errors.Join(err, os.Symlink(to, filepath.Join(dir, link)))
	}
	if err != nil {
		t.Fatal(err)
	}
	writeInstalled(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "private.pem"), s.certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// certificate is what a server shows.
func certificate(t *testing.T, address string) []byte {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // it is what is asked for
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: state.PeerCertificates[0].Raw})
}

// run runs a script and returns what it printed. A person types what is in typed.
func (s *stage) run(t *testing.T, dir, what, script, typed string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", s.addresses.Replace(script))
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(typed), &printed, &printed
	cmd.Env = append(append(os.Environ(), s.goEnv...), "HOME="+dir) // no configuration of curl, kubectl and others
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what it started
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(printed.String()), "\n")
		t.Fatalf("%s: %v; it printed last:\n%s\nIt printed in all:\n%s", what, err,
			strings.Join(lines[max(0, len(lines)-12):], "\n"), printed.String()) // the end first: of a long text, some who show it leave out the end
	}
	return printed.String()
}

// TestPages runs the commands of the pages that tell people what to do, each page as one script, against the real programs and the simulator.
func TestPages(t *testing.T) {
	needs(t, "bash", "curl", "base64") // kubectl comes with the control plane
	s := openStage(t)
	for _, page := range slices.Sorted(maps.Keys(scenes)) {
		if !scenes[page].last {
			t.Run(page, func(t *testing.T) { s.page(t, page) })
		}
	}
	t.Run("runbooks", s.runbooks)
	for _, page := range slices.Sorted(maps.Keys(scenes)) {
		if scenes[page].last {
			t.Run(page, func(t *testing.T) { s.page(t, page) })
		}
	}
	t.Run("manifests", func(t *testing.T) {
		dir := s.directory(t)
		s.run(t, dir, "making room", prelude+cleanUp, "")
		for _, page := range pages(t) {
			s.manifests(t, dir, page)
		}
	})
}

// page runs the commands of a page.
func (s *stage) page(t *testing.T, page string) {
	t.Helper()
	dir := s.directory(t)
	s.run(t, dir, "making room", prelude+cleanUp, "")
	scene := scenes[page]
	if scene.before != "" {
		s.run(t, dir, "what the page begins with", prelude+scene.before, "")
	}
	scene.wantsPrinted(t, s.run(t, dir, page, scene.script(t, page), scene.types))
	if scene.after != "" {
		s.run(t, dir, "what must be so afterwards", prelude+scene.after, "")
	}
}

func (s *scene) wantsPrinted(t *testing.T, printed string) {
	t.Helper()
	for _, want := range s.prints {
		if !strings.Contains(printed, want) {
			t.Errorf("the output has no %s:\n%s", want, printed)
		}
	}
}

// script is the commands of a page.
func (s *scene) script(t *testing.T, page string) string {
	t.Helper()
	script := strings.Builder{}
	if !s.ownEnvironment {
		script.WriteString(". bin/demo.env\n")
	}
	script.WriteString(nodes)
	for _, b := range blocksOf(t, page) {
		if b.shell() && b.notRun == "" {
			fmt.Fprintf(&script, ": %s:%d\n%s", page, b.line, label.ReplaceAllStringFunc(b.text, func(name string) string {
				return cmp.Or(s.labels[name], name)
			}))
		}
	}
	return script.String()
}

// label is a word in capitals, which stands for the label of an alert in a runbook.
var label = regexp.MustCompile(`\b[A-Z]+\b`)

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
		s.run(t, dir, fmt.Sprintf("%s:%d", page, b.line), prelude+"kubectl apply --dry-run=server --filename manifest.yaml", "")
	}
}
