package inbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// NATSCommand as the first argument makes a program that uses this package an external NATS server: it must then call ServeNATS with the
// other arguments, and end. So the tests need no binary that is not the project's.
const NATSCommand = "nats-server"

// ServeNATS runs a NATS server with JetStream until a signal. Its arguments are a port and a directory.
func ServeNATS(args []string) error {
	if len(args) != 2 {
		return errors.New("a port and a directory are needed")
	}
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("reading the port: %w", err)
	}
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, JetStream: true, StoreDir: args[1], SyncAlways: true, MaxPayload: 2 << 20,
	})
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
	port int
	dir  string
}

func startNATS(ctx context.Context, dir string) (*natsServer, error) {
	ports, err := program.Ports(1)
	if err != nil {
		return nil, err
	}
	n := &natsServer{port: ports[0], dir: dir}
	err = n.start(ctx)
	return n, err
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

func (n *natsServer) start(ctx context.Context) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	log, data := filepath.Join(n.dir, "nats.log"), filepath.Join(n.dir, "nats")
	if n.Process, err = program.Start(own, log, NATSCommand, strconv.Itoa(n.port), data); err != nil {
		return err
	}
	return program.Wait(ctx, time.Minute, "the NATS server to listen", func() (bool, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
}
