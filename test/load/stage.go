package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/inbound"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// stage is what a suite runs on: a control plane of its own. close takes down in reverse what was put up.
type stage struct {
	binaries   string
	dir        string
	kubeconfig string
	config     *rest.Config
	k8s        client.WithWatch
	closers    []func() error
}

func (s *stage) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *stage) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *stage) open() error {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	say("Starting etcd and kube-apiserver")
	env := inbound.ControlPlane(filepath.Join("config", "crd", "bases"))
	var err error
	s.onClose(env.Stop) // also what started before something failed
	if s.config, err = env.Start(); err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}
	user, err := env.AddUser(envtest.User{Name: "load", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return fmt.Errorf("making a user: %w", err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		return fmt.Errorf("making a kubeconfig: %w", err)
	}
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	if err := os.WriteFile(s.kubeconfig, text, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	s.config.QPS = -1 // this process prepares, and must not hold itself back
	if s.k8s, err = client.NewWithWatch(s.config, client.Options{Scheme: process.Scheme()}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// start runs a program until the caller, or the end of the suite, stops it.
func (s *stage) start(ctx context.Context, path, name, ready string, args ...string) (*program.Process, error) {
	return s.startWith(ctx, nil, path, name, ready, args...)
}

// startWith is start with variables of the environment.
func (s *stage) startWith(ctx context.Context, env []string, path, name, ready string, args ...string) (*program.Process, error) {
	p, err := program.StartWith(env, path, filepath.Join(s.dir, name+".log"), args...)
	if err != nil {
		return nil, err
	}
	s.onClose(func() error { return p.Stop(30 * time.Second) })
	return p, program.Wait(ctx, time.Minute, name+" to be ready", func() (bool, error) {
		select {
		case <-p.Done():
			return false, fmt.Errorf("%s has ended", name)
		default:
		}
		return answers(ctx, ready), nil
	})
}

// memoryLimit is what the webhook binary makes of the chart's memory limit, 512 MiB, in bytes.
const memoryLimit = (512 << 20) * 85 / 100

// startWebhook starts the webhook binary, with the memory limit that it has in the chart's container, and returns the URL of its public address.
// flags overrule those that it has anyway.
func (s *stage) startWebhook(ctx context.Context, data, fsync string, flags ...string) (p *program.Process, public string, err error) {
	ports, err := program.Ports(2)
	if err != nil {
		return nil, "", err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	bounded := []string{fmt.Sprintf("GOMEMLIMIT=%d", memoryLimit)}
	p, err = s.startWith(ctx, bounded, filepath.Join(s.binaries, "webhook"), "webhook", "http://"+at(1)+"/readyz",
		append([]string{
			"--kubeconfig=" + s.kubeconfig, "--namespace=" + operatorNamespace, "--data-dir=" + data, "--fsync=" + fsync, "--allow-private-sinks",
			"--public-bind-address=" + at(0), "--private-bind-address=0", "--metrics-bind-address=0", "--health-probe-bind-address=" + at(1),
			"--zap-log-level=error",
		}, flags...)...)
	return p, "http://" + at(0), err
}

// startBare starts the reference program and returns its URL.
func (s *stage) startBare(ctx context.Context, name string, args ...string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	ports, err := program.Ports(1)
	if err != nil {
		return "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	_, err = s.start(ctx, own, name, "http://"+address+"/readyz", append([]string{bareCommand, "-listen=" + address}, args...)...)
	return "http://" + address, err
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// closing adds the error of closing something to another.
func closing(err error, what io.Closer) error { return errors.Join(err, what.Close()) }
