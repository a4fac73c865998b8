package inbound

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// natsServer is an external NATS server that can be killed and started again.
type natsServer struct {
	*program.Process
	binary        string
	name, dir     string
	port, monitor int
	cluster       []string // flags
}

// newNATS prepares a server; it does not start it.
func newNATS(binary, name, dir string, port, monitor int) *natsServer {
	return &natsServer{binary: binary, name: name, dir: filepath.Join(dir, name), port: port, monitor: monitor}
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// begin starts the process, or a new one after the last has ended.
func (n *natsServer) begin() (err error) {
	n.Process, err = program.Start(n.binary, n.dir+".log", append([]string{
		"-name=" + n.name, "-dir=" + n.dir, fmt.Sprintf("-port=%d", n.port), fmt.Sprintf("-monitor=%d", n.monitor),
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
