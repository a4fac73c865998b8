package inbound

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// NATSCommand as the first argument makes a program that uses this package an external NATS server: it must then call ServeNATS with the
// other arguments, and end. So the tests need no binary that is not the project's.
const NATSCommand = "nats-server"

// ServeNATS runs a NATS server with JetStream until a signal.
func ServeNATS(args []string) error {
	options := &server.Options{Host: "127.0.0.1", HTTPHost: "127.0.0.1", NoSigs: true, JetStream: true, SyncAlways: true, MaxPayload: 2 << 20}
	// The servers must not tell each other of a way around the network: nobody listens there.
	cluster := server.ClusterOpts{Name: "events", Host: "127.0.0.1", Advertise: "127.0.0.1:1"}
	var routes string
	fs := flag.NewFlagSet(NATSCommand, flag.ContinueOnError)
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

// natsServer is an external NATS server that can be killed and started again.
type natsServer struct {
	*program.Process
	name, dir     string
	port, monitor int
	cluster       []string // flags
}

// newNATS prepares a server; it does not start it.
func newNATS(name, dir string, port, monitor int) *natsServer {
	return &natsServer{name: name, dir: filepath.Join(dir, name), port: port, monitor: monitor}
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// begin starts the process, or a new one after the last has ended.
func (n *natsServer) begin() error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	n.Process, err = program.Start(own, n.dir+".log", append([]string{
		NATSCommand, "-name=" + n.name, "-dir=" + n.dir, fmt.Sprintf("-port=%d", n.port), fmt.Sprintf("-monitor=%d", n.monitor),
	}, n.cluster...)...)
	return err
}

// start also waits until the server can do its work.
func (n *natsServer) start(ctx context.Context) error {
	if err := n.begin(); err != nil {
		return err
	}
	return n.healthy(ctx)
}

// rejoinLimit is for a server that was cut off: the others look for it ever more rarely.
const rejoinLimit = 5 * time.Minute

// healthy waits until the server can do its work, and has what the others have.
func (n *natsServer) healthy(ctx context.Context) error {
	return program.Wait(ctx, rejoinLimit, "the NATS server "+n.name+" to be healthy", func() (bool, error) {
		select {
		case <-n.Done():
			return false, fmt.Errorf("it has ended: see %s.log", n.dir)
		default:
		}
		status, err := get(ctx, n.monitored("healthz"))
		return err == nil && status == http.StatusOK, nil
	})
}

func (n *natsServer) monitored(page string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/%s", n.monitor, page)
}
