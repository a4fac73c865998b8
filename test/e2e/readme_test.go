package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// TestReadme runs the commands of README.md from the installation to the first reply, as they are written there, in a namespace default that
// has nothing of it yet. What differs: run.sh has made the images and has given them to the cluster, a comment of the page stands for the
// person at the browser, and the test waits until a port-forward has its port.
func TestReadme(t *testing.T) {
	c := open(t)
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("the README uses jq, which is not installed")
	}
	for _, port := range []string{"8080", "9400", "8443"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("the README's commands forward port %s, which something else has: %v", port, err)
		}
		_ = l.Close()
	}
	c.volume()
	t.Cleanup(func() {
		c.run("KUBECTL", "-n", "default", "delete", "--ignore-not-found", "serviceaccount/crm", "rolebinding/crm-sends", "rolebinding/crm-reads")
		c.run("HELM", "uninstall", "tiktok-operator", "-n", operator, "--ignore-not-found", "--wait", "--timeout", "3m")
		c.run("KUBECTL", "delete", "namespace", operator, "--ignore-not-found")
		c.forget()
	})

	said := c.shell(commands(t, "README.md", "## Install on a cluster", "## When something is wrong"))
	if !strings.Contains(said, `"status":"`) || !strings.Contains(said, "It is on its way!") {
		t.Errorf("the last command does not show the message that was sent:\n%s", said)
	}
	c.remove(&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme"}})
	c.remove(&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "simulator"}})
}

var (
	notRun   = regexp.MustCompile(`^<!-- not run: .+ -->$`)
	forwards = regexp.MustCompile(`port-forward \S+ (\d+)(:\d+)? &$`)
)

// commands are the shell between two headings of a page: its blocks of sh, but for those that a comment says not to run, and the comments that
// stand for a person. test/docs reads pages by the same rules.
func commands(t *testing.T, page, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	_, part, there := strings.Cut(string(text), "\n"+from+"\n")
	part, _, ends := strings.Cut(part, "\n"+to+"\n")
	if !there || !ends {
		t.Fatalf("%s has no part from %q to %q", page, from, to)
	}
	var script strings.Builder
	run, end, before := false, "", ""
	for line := range strings.SplitSeq(part, "\n") {
		switch {
		case end == "" && line == "```sh":
			run, end = !notRun.MatchString(before), "```"
		case end == "" && line == "<!-- in the test:":
			run, end = true, "-->"
		case end != "" && line == end:
			run, end = false, ""
		case run && !strings.HasPrefix(line, "make images "):
			fmt.Fprintln(&script, line)
			if port := forwards.FindStringSubmatch(line); port != nil {
				fmt.Fprintf(&script, "until (exec 3<>/dev/tcp/127.0.0.1/%s) 2>/dev/null; do sleep 0.2; done\n", port[1])
			}
		}
		before = line
	}
	return script.String()
}

// shell runs a script in the checkout, with the helm and kubectl of this test, and returns what it says.
func (c *cluster) shell(script string) string {
	c.t.Helper()
	tools := c.t.TempDir()
	for name, variable := range map[string]string{"helm": "HELM", "kubectl": "KUBECTL"} {
		path, err := exec.LookPath(os.Getenv(variable))
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil {
			err = os.Symlink(path, filepath.Join(tools, name))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n"+script)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.WaitDelay = 10 * time.Second // a port-forward may keep the output open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%v\n%s\n%s\n%s", err, script, out.String(), c.state())
	}
	return out.String()
}
