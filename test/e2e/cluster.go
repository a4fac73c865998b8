// Package e2e installs the Helm chart on a real cluster, in pods, and takes the tour there: make test-e2e.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

const (
	operator = "tiktok-operator-system"
	team     = "e2e-team"
)

// cluster is the one that KUBECONFIG names, with the chart's release in it.
type cluster struct {
	client.Client
	t *testing.T
	// places are the local addresses that hosts of URLs are reached at, through port-forwards.
	places map[string]string
	// release is what Helm calls it.
	release string
	// apart: the simulator is not in the operator's namespace, beside the webhook.
	apart bool
}

func open(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("E2E_VERSION") == "" {
		t.Skip("make test-e2e runs it")
	}
	log.SetLogger(logr.Discard())
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: process.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{Client: c, t: t, release: "tiktok-operator", places: map[string]string{}}
}

// run runs a program, and fails the test if it fails.
func (c *cluster) run(env string, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), os.Getenv(env), args...) //nolint:gosec // the pinned tools
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%s %s: %v\n%s", env, strings.Join(args, " "), err, out.String())
	}
}

// until polls with a deadline.
func (c *cluster) until(what string, within time.Duration, done func() (bool, error)) {
	c.t.Helper()
	deadline := time.Now().Add(within)
	for {
		ok, err := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("waited %s for %s: %v\n%s", within, what, err, c.state())
		}
		time.Sleep(time.Second)
	}
}

// state is what somebody who looks for the cause asks first.
func (c *cluster) state() string {
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "pods,pvc", "--all-namespaces", "-o", "wide"}, {"get", "tiktokapps,tiktokchannels", "--all-namespaces", "-o", "yaml"},
		{"-n", operator, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", operator, "logs", "--tail=30", "--prefix", "--all-containers", "-l", "app.kubernetes.io/name=tiktok-operator"},
	} {
		out, _ := exec.CommandContext(context.Background(), os.Getenv("KUBECTL"), args...).CombinedOutput() //nolint:gosec // constants
		fmt.Fprintf(&all, "$ kubectl %s\n%s\n", strings.Join(args, " "), out)
	}
	return all.String()
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:[0-9]+)`)

// forward makes a Service reachable at host until the test ends or forward is called for it again.
func (c *cluster) forward(host, namespace, service, port string) {
	c.t.Helper()
	c.until("a port-forward to "+service, time.Minute, func() (bool, error) {
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, os.Getenv("KUBECTL"), "-n", namespace, "port-forward", "service/"+service, ":"+port) //nolint:gosec // ours
		out, err := cmd.StdoutPipe()
		if err != nil {
			cancel()
			return false, err
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			cancel()
			return false, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		found := forwarding.FindStringSubmatch(line)
		if found == nil {
			cancel()
			_ = cmd.Wait()
			return false, fmt.Errorf("%w: %s%s", err, line, errs.String())
		}
		c.t.Cleanup(func() {
			cancel()
			_ = cmd.Wait() // killed
		})
		c.places[host] = found[1]
		return true, nil
	})
}

// browser is a client whose hosts are the Services that were forwarded.
func (c *cluster) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		place, ok := c.places[address]
		if !ok {
			return nil, fmt.Errorf("%s is nothing that this test knows", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, place)
	}
	return &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}
}
