// Package eventlogtest starts NATS servers of a test's own, as somebody else would run them for the event log.
package eventlogtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const patience = 30 * time.Second

// Server starts a server; with routes, as one of a cluster. It ends with the test.
func Server(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	opts.Host, opts.NoSigs, opts.JetStream, opts.StoreDir, opts.NoLog = "127.0.0.1", true, true, t.TempDir(), true
	if opts.Port == 0 {
		opts.Port = -1
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the server does not listen")
	}
	return ns
}

// Cluster starts three servers, and returns the URLs of all, as --nats-url takes them.
func Cluster(t testing.TB) string {
	t.Helper()
	const n = 3
	var routes []*url.URL
	ports, err := program.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	var urls []string
	for i, port := range ports {
		ns := Server(t, &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Routes: routes, Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		})
		urls = append(urls, ns.ClientURL())
	}
	return strings.Join(urls, ",")
}
