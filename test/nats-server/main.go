// Command nats-server is the external NATS of package inbound: a server with JetStream that others can kill. The tests' own program could be one,
// but theirs looks for data races, which is of no use in a server that is not the project's, and takes most of a small machine's time.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		os.Exit(1)
	}
}

// run runs the server until a signal.
func run(args []string) error {
	options := &server.Options{Host: "127.0.0.1", HTTPHost: "127.0.0.1", NoSigs: true, JetStream: true, SyncAlways: true, MaxPayload: 2 << 20}
	// The servers must not tell each other of a way around the network: nobody listens there.
	cluster := server.ClusterOpts{Name: "events", Host: "127.0.0.1", Advertise: "127.0.0.1:1"}
	var routes string
	fs := flag.NewFlagSet("nats-server", flag.ContinueOnError)
	fs.StringVar(&options.ServerName, "name", "", "of the server")
	fs.StringVar(&options.StoreDir, "dir", "", "where it stores")
	fs.IntVar(&options.Port, "port", 0, "of clients")
	fs.IntVar(&options.HTTPPort, "monitor", 0, "port of its monitoring")
	fs.IntVar(&cluster.Port, "cluster-port", 0, "port of other servers")
	fs.StringVar(&routes, "routes", "", "addresses of other servers, separated by commas; none if it is alone")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if routes != "" {
		options.Cluster = cluster
		for address := range strings.SplitSeq(routes, ",") {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: address})
		}
	}
	ns, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("making the NATS server: %w", err)
	}
	ns.ConfigureLogger()
	ns.Start()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	ns.Shutdown()
	ns.WaitForShutdown()
	return nil
}
