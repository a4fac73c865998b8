package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// stage is what all suites share: the binaries and a control plane. close takes down in reverse what was put up.
type stage struct {
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

func (s *stage) open(ctx context.Context) error {
	if err := os.Mkdir(filepath.Join(s.dir, "logs"), 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	say("Building the binaries")
	if err := program.Build(ctx, s.dir, []string{"manager", "webhook"}); err != nil {
		return fmt.Errorf("the load suite runs from the checkout's top: %w", err)
	}
	say("Starting etcd and kube-apiserver")
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
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

// start runs one of the binaries until the caller, or the end of the run, stops it.
func (s *stage) start(ctx context.Context, name, ready string, args ...string) (*program.Process, error) {
	p, err := program.Start(filepath.Join(s.dir, name), filepath.Join(s.dir, "logs", name+".log"), args...)
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
