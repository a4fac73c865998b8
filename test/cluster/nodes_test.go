package cluster

import (
	"errors"
	"fmt"
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
	name, dir   string
	port, route int
	routes      string
	*program.Process
}

func startNodes(t *testing.T) []*node {
	t.Helper()
	const n = 3
	ports, err := program.Ports(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n+i]))
	}
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = &node{t: t, name: fmt.Sprintf("node-%d", i), dir: t.TempDir(), port: ports[i], route: ports[n+i], routes: strings.Join(routes, ",")}
		nodes[i].start()
	}
	return nodes
}

func (n *node) start() {
	n.t.Helper()
	p, err := program.Start(os.Args[0], n.dir+".log", roleNode, n.name, n.dir, strconv.Itoa(n.port), strconv.Itoa(n.route), n.routes)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Process = p
	n.t.Cleanup(p.Kill)
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// runNode is what the process of a node does.
func runNode(args []string) error {
	port, portErr := strconv.Atoi(args[2])
	route, routeErr := strconv.Atoi(args[3])
	options := &server.Options{
		ServerName: args[0], Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: args[1], NoSigs: true, SyncAlways: true,
		Cluster: server.ClusterOpts{Name: "events", Host: "127.0.0.1", Port: route},
	}
	for r := range strings.SplitSeq(args[4], ",") {
		u, err := url.Parse(r)
		if err != nil {
			return err
		}
		options.Routes = append(options.Routes, u)
	}
	if err := errors.Join(portErr, routeErr); err != nil {
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
