package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// node is one NATS server of the cluster, in a process of its own: this test binary started again.
type node struct {
	t           *testing.T
	number      int
	name, dir   string
	port, route int
	health      int
	routes      string
	*program.Process
}

func startNodes(t *testing.T) ([]*node, *network) {
	t.Helper()
	const n = 3
	net := newNetwork(t)
	ports, err := program.Ports(3 * n)
	if err != nil {
		t.Fatal(err)
	}
	nodes := make([]*node, n)
	for i := range nodes {
		var routes []string
		for other := range n {
			if other != i {
				routes = append(routes, "nats://"+net.link(t, i, other, ports[n+other]))
			}
		}
		nodes[i] = &node{
			t: t, number: i, name: fmt.Sprintf("node-%d", i), dir: t.TempDir(), port: ports[i], route: ports[n+i], health: ports[2*n+i],
			routes: strings.Join(routes, ","),
		}
		nodes[i].start()
	}
	return nodes, net
}

func (n *node) start() {
	n.t.Helper()
	p, err := program.Start(os.Args[0], n.dir+".log", roleNode, n.name, n.dir, strconv.Itoa(n.port), strconv.Itoa(n.route), n.routes, strconv.Itoa(n.health))
	if err != nil {
		n.t.Fatal(err)
	}
	n.Process = p
	n.t.Cleanup(p.Kill)
}

// healthy says whether the node has what the others have.
func (n *node) healthy() bool {
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/healthz", n.health), http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// runNode is what the process of a node does.
func runNode(args []string) error {
	port, portErr := strconv.Atoi(args[2])
	route, routeErr := strconv.Atoi(args[3])
	health, healthErr := strconv.Atoi(args[5])
	options := &server.Options{
		ServerName: args[0], Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: args[1], NoSigs: true, SyncAlways: true,
		HTTPHost: "127.0.0.1", HTTPPort: health,
		// The nodes must not tell each other of a way around the network: nobody listens there.
		Cluster: server.ClusterOpts{Name: "events", Host: "127.0.0.1", Port: route, Advertise: "127.0.0.1:1"},
	}
	for r := range strings.SplitSeq(args[4], ",") {
		u, err := url.Parse(r)
		if err != nil {
			return err
		}
		options.Routes = append(options.Routes, u)
	}
	if err := errors.Join(portErr, routeErr, healthErr); err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("the server does not start")
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
