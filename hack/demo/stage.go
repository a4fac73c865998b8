package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	operatorNamespace = "tiktok-operator-system"
	appSecret         = "demo-app-secret"
)

// settings are what differs between the demo and the test that takes the same tour.
type settings struct {
	tokenLife time.Duration
	// logLevel of the manager and the webhook deployment: info, debug, or a number above 0 for more.
	logLevel string
	// person means that TikTok asks a person for consent, instead of granting it at once.
	person bool
	// browser carries what a person's browser asks for; nil means http.DefaultTransport.
	browser http.RoundTripper
	// audit is the file that the API server, if it is the demo's own, writes every request to.
	audit string
	// confine, if it is set, makes what the ServiceAccounts of the manager and the webhook may do, and the two run as them. Otherwise they
	// may do everything.
	confine func(context.Context, client.Client) error
	// webhook are further arguments of the webhook binary, env further variables of the processes' environment.
	webhook, env []string
}

// stage is everything that the demo runs. close takes it down in reverse.
type stage struct {
	settings
	dir        string
	kubeconfig string
	k8s        client.WithWatch
	// Base URLs.
	simulator, public, private string
	metrics                    []string
	sink                       *sink
	closers                    []func() error
}

func (s *stage) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *stage) open(ctx context.Context) error {
	if err := os.Mkdir(filepath.Join(s.dir, "logs"), 0o750); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	if err := s.build(ctx); err != nil {
		return err
	}
	if err := s.openCluster(); err != nil {
		return err
	}
	var err error
	if s.sink, err = openSink(); err != nil {
		return err
	}
	s.closers = append(s.closers, s.sink.close)
	return s.startProcesses(ctx)
}

// build makes the binaries that the demo runs: the real ones.
func (s *stage) build(ctx context.Context) error {
	say("Building the binaries")
	if err := program.Build(ctx, s.dir, []string{"manager", "webhook", "tiktok-simulator"}); err != nil {
		return fmt.Errorf("the demo runs from the checkout's top: %w", err)
	}
	return nil
}

// openCluster uses $KUBECONFIG, or starts etcd and kube-apiserver.
func (s *stage) openCluster() error {
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	var cfg *rest.Config
	var err error
	if path := os.Getenv("KUBECONFIG"); path != "" {
		say("Using the cluster of KUBECONFIG=%s", path)
		if cfg, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
			return fmt.Errorf("reading KUBECONFIG: %w", err)
		}
		existing := true
		env.UseExistingCluster, env.Config = &existing, cfg
		s.kubeconfig = path
		installed, err := knows(cfg)
		if err != nil {
			return err
		}
		env.CRDInstallOptions.CleanUpAfterUse = !installed // nothing stays behind but what was there
	} else {
		say("Starting etcd and kube-apiserver")
		if err := s.audited(env); err != nil {
			return err
		}
	}
	if cfg, err = env.Start(); err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}
	s.closers = append(s.closers, env.Stop)
	if s.kubeconfig == "" {
		user, err := env.AddUser(envtest.User{Name: "demo", Groups: []string{"system:masters"}}, nil)
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
	}
	s.k8s, err = client.NewWithWatch(cfg, client.Options{Scheme: process.Scheme()})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// audited has the API server of env tell of every request.
func (s *stage) audited(env *envtest.Environment) error {
	if s.audit == "" {
		return nil
	}
	policy := filepath.Join(s.dir, "audit.yaml")
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	env.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", s.audit)
	return nil
}

// kubeconfigOf is what a binary talks to the cluster with.
func (s *stage) kubeconfigOf(binary string) (string, error) {
	if s.confine == nil {
		return s.kubeconfig, nil
	}
	config, err := clientcmd.LoadFromFile(s.kubeconfig)
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + operatorNamespace + ":" + binary
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace, "system:authenticated"}
	}
	path := s.kubeconfig + "-" + binary
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of the %s: %w", binary, err)
	}
	return path, nil
}

// knows says whether a cluster has the project's kinds.
func knows(cfg *rest.Config) (bool, error) {
	d, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return false, fmt.Errorf("making a client: %w", err)
	}
	_, err = d.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("asking the cluster which kinds it has: %w", err)
	}
	return err == nil, nil
}

func (s *stage) startProcesses(ctx context.Context) error {
	ports, err := program.Ports(7)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s.simulator, s.public, s.private = "http://"+at(0), "http://"+at(1), "https://"+at(4)
	s.metrics = []string{"http://" + at(5) + "/metrics", "http://" + at(6) + "/metrics"}
	kubeconfigs := map[string]string{}
	for _, binary := range []string{"manager", "webhook"} {
		if kubeconfigs[binary], err = s.kubeconfigOf(binary); err != nil {
			return err
		}
	}
	if s.confine != nil {
		if err := s.confine(ctx, s.k8s); err != nil {
			return err
		}
	}
	say("Starting the simulator, the manager and the webhook deployment")
	for _, p := range []struct {
		name, ready string
		args        []string
	}{
		{"tiktok-simulator", s.simulator + "/", []string{
			"--bind-address=" + at(0), "--app-secret=" + appSecret, "--access-token-ttl=" + s.tokenLife.String(), "--rate-limit=0",
			fmt.Sprintf("--auto-consent=%t", !s.person),
		}},
		{"manager", "http://" + at(2) + "/readyz", []string{
			"--kubeconfig=" + kubeconfigs["manager"], "--namespace=" + operatorNamespace, "--leader-elect=" + strconv.FormatBool(s.confine != nil),
			"--metrics-bind-address=" + at(5), "--zap-log-level=" + s.logLevel, "--health-probe-bind-address=" + at(2),
			"--journal-dir=" + filepath.Join(s.dir, "journal"),
		}},
		{"webhook", "http://" + at(3) + "/readyz", append([]string{
			"--kubeconfig=" + kubeconfigs["webhook"], "--namespace=" + operatorNamespace, "--allow-private-sinks",
			"--metrics-bind-address=" + at(6), "--zap-log-level=" + s.logLevel,
			"--health-probe-bind-address=" + at(3), "--public-bind-address=" + at(1), "--private-bind-address=" + at(4),
			"--data-dir=" + filepath.Join(s.dir, "events"),
		}, s.webhook...)},
	} {
		if err := s.start(p.name, p.args...); err != nil {
			return err
		}
		if err := program.Wait(ctx, time.Minute, p.name+" to be ready", func() (bool, error) { return answers(ctx, p.ready), nil }); err != nil {
			return err
		}
	}
	return nil
}

// start runs one of the binaries, with its output in a file.
func (s *stage) start(name string, args ...string) error {
	p, err := program.StartWith(s.env, filepath.Join(s.dir, name), filepath.Join(s.dir, "logs", name+".log"), args...)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return p.Stop(time.Minute) })
	return nil
}

func (s *stage) invite() {
	fmt.Printf(`
Everything stays up until Ctrl-C.

  kubeconfig        %[1]s
  simulator         %[2]s/   (its consent page opens by status.authorizationURL)
  public listener   %[3]s
  logs              %[4]s

Things to try in another terminal:

  export KUBECONFIG=%[1]s
  kubectl get ttapp,ttc -A
  kubectl describe ttc demo
  kubectl annotate ttc demo --overwrite channels.tiktok-operator.io/refresh-requested-at="$(date)"
  curl -d '{"text":"Is this still available?","user":"bob"}' %[2]s/admin/events
  curl -d '{"business":"biz-0001"}' %[2]s/admin/tokens/revoke
  curl -d '{"mode":"page"}' %[2]s/admin/consent

`, s.kubeconfig, s.simulator, s.public, filepath.Join(s.dir, "logs"))
}

func answers(ctx context.Context, url string) bool {
	status, _, err := get(ctx, http.DefaultClient, url)
	return err == nil && status == http.StatusOK
}

func get(ctx context.Context, c *http.Client, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", fmt.Errorf("making a request: %w", err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(body), err
}

func post(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the simulator: %w", err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the simulator answered %s: %s", resp.Status, answer)
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
