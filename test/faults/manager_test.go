package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// manager is one process of cmd/manager with its own way to the API server, and its pod's own journal.
type manager struct {
	*program.Process
	stage   *stage
	proxy   *proxy
	journal string
	log     string
	args    []string
}

// manager starts a manager and waits until it is ready.
func (s *stage) manager(flags ...string) *manager {
	s.t.Helper()
	m := s.newManager(flags...)
	m.start()
	m.ready()
	return m
}

func (s *stage) newManager(flags ...string) *manager {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), fmt.Sprintf("pod-%d", len(s.managers)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	m := &manager{stage: s, proxy: newProxy(s.t, cluster.address), journal: filepath.Join(dir, "journal"), log: filepath.Join(dir, "log")}
	m.args = append([]string{
		"--kubeconfig=" + s.kubeconfig(dir, "https://"+m.proxy.address()), "--namespace=" + s.operator, "--watch-namespaces=" + s.namespace,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--journal-dir=" + m.journal, "--leader-elect=false",
	}, flags...)
	s.managers = append(s.managers, m)
	s.t.Cleanup(func() {
		if m.Process != nil {
			m.Kill()
		}
		if s.t.Failed() {
			text, _ := os.ReadFile(m.log)
			s.t.Logf("the log of %s ends:\n%s", filepath.Base(dir), tail(string(text), 6000))
		}
	})
	return m
}

func (s *stage) kubeconfig(dir, server string) string {
	s.t.Helper()
	path := filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],
"users":[{"name":"c","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}`, server, clusterToken)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// start starts the process, or a new one in the same pod after the last has ended: on its journal, like a restarted container.
func (m *manager) start() {
	m.stage.t.Helper()
	p, err := program.Start(filepath.Join(binaries, "manager"), m.log, m.args...)
	if err != nil {
		m.stage.t.Fatal(err)
	}
	m.Process = p
}

// ready waits until the manager works: it serves channels, or stands by.
func (m *manager) ready() {
	m.stage.t.Helper()
	m.stage.eventually("a manager to start", func() string {
		if m.says("Starting workers") || m.says("attempting to acquire leader lease") || m.says("Attempting to acquire leader lease") {
			return ""
		}
		return "no workers yet"
	})
}

// says tells whether a text is in the log of the pod's processes.
func (m *manager) says(text string) bool {
	log, err := os.ReadFile(m.log)
	if err != nil {
		m.stage.t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}

// tells waits until a text is in the log.
func (m *manager) tells(text string) {
	m.stage.t.Helper()
	m.stage.eventually("the manager to log", func() string {
		if m.says(text) {
			return ""
		}
		return text
	})
}

// entries are the files in the journal, whatever they are.
func (m *manager) entries() []string {
	files, err := os.ReadDir(m.journal)
	if err != nil {
		return nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name()
	}
	return names
}

// answered waits until the journal holds an answer of TikTok.
func (m *manager) answered() {
	m.stage.t.Helper()
	m.stage.eventually("TikTok's answer in the journal", func() string {
		for _, name := range m.entries() {
			if text, err := os.ReadFile(filepath.Join(m.journal, name)); err == nil && strings.Contains(string(text), `"refreshToken":`) {
				return ""
			}
		}
		return fmt.Sprintf("it holds %v", m.entries())
	})
}

// ended waits for the process to end.
func (m *manager) ended(limit time.Duration) {
	m.stage.t.Helper()
	select {
	case <-m.Done():
	case <-time.After(limit):
		m.stage.t.Fatalf("the manager still runs after %s", limit)
	}
}

// running fails if the process has ended.
func (m *manager) running() {
	m.stage.t.Helper()
	select {
	case <-m.Done():
		m.stage.t.Fatal("the manager has ended")
	default:
	}
}
