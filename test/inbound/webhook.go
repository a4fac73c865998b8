package inbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const startLimit = 2 * time.Minute // on a machine that is busy with other tests

// webhook is the webhook binary, which can be started again with the same addresses and data.
type webhook struct {
	*program.Process
	command []string
	log     string
	public  string // URLs
	probes  string
}

// newWebhook prepares a process; it does not start it.
func newWebhook(binary, kubeconfig, operator, namespace, log string, storage ...string) (*webhook, error) {
	ports, err := program.Ports(2)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	return &webhook{
		command: append([]string{
			binary, "--kubeconfig=" + kubeconfig, "--namespace=" + operator, "--watch-namespaces=" + namespace, "--allow-private-sinks",
			"--public-bind-address=" + at(0), "--private-bind-address=0", "--metrics-bind-address=0", "--health-probe-bind-address=" + at(1),
		}, storage...),
		log: log, public: "http://" + at(0), probes: "http://" + at(1),
	}, nil
}

// start starts the process, or a new one after the last has ended, and waits until it is ready.
func (w *webhook) start(ctx context.Context) (err error) {
	if w.Process, err = program.Start(w.command[0], w.log, w.command[1:]...); err != nil {
		return err
	}
	return program.Wait(ctx, startLimit, "the webhook binary to be ready", func() (bool, error) {
		select {
		case <-w.Done():
			return false, fmt.Errorf("it has ended: see %s", w.log)
		default:
		}
		return w.ready(ctx), nil
	})
}

func (w *webhook) ready(ctx context.Context) bool {
	status, err := get(ctx, w.probes+"/readyz")
	return err == nil && status == http.StatusOK
}

// tail is the end of a log, for a test that failed.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-6000):])
}

func get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// kubeconfigFor writes a copy of a kubeconfig that goes by another address.
func kubeconfigFor(path string, c Cluster, address string) (string, error) {
	text, changed := replaceHost(c.Kubeconfig, c.Host, address)
	if !changed {
		return "", errors.New("the kubeconfig does not name the API server's address")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return path, nil
}
