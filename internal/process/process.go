// Package process holds what the manager and the webhook binaries start with: the flags that both have, the logger, the cluster, and the
// namespace they run in.
package process

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/flagenv"
)

// DefaultNamespace is used where the process does not run in a pod.
const DefaultNamespace = "tiktok-operator-system"

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Flags are the flags that both binaries have.
type Flags struct {
	Kubeconfig      string
	Namespace       string
	WatchNamespaces string
	MetricsAddress  string
	ProbeAddress    string
	KubeAPIQPS      float64
	KubeAPIBurst    int
	logging         zap.Options
}

// Bind adds the flags to fs.
func (f *Flags) Bind(fs *flag.FlagSet, metricsAddress string) {
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "path of a kubeconfig; default: the pod's own, else $KUBECONFIG")
	fs.StringVar(&f.Namespace, "namespace", "", "the operator's own namespace; default: the pod's, else "+DefaultNamespace)
	fs.StringVar(&f.WatchNamespaces, "watch-namespaces", "", "namespaces whose channels are served, separated by commas; default: all")
	fs.StringVar(&f.MetricsAddress, "metrics-bind-address", metricsAddress, "address of the metrics endpoint; 0 turns it off")
	fs.StringVar(&f.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	fs.Float64Var(&f.KubeAPIQPS, "kube-api-qps", 100, "requests a second to the Kubernetes API that this process allows itself")
	fs.IntVar(&f.KubeAPIBurst, "kube-api-burst", 200, "how far a burst may go beyond --kube-api-qps")
	f.logging = zap.Options{}
	f.logging.BindFlags(fs)
}

// Parse reads the flags of a binary and returns its logger. An error is a sentence for the terminal; flag.ErrHelp was answered already.
func (f *Flags) Parse(fs *flag.FlagSet, args []string) (logr.Logger, error) {
	if err := flagenv.Parse(fs, args, os.LookupEnv); err != nil {
		return logr.Logger{}, err
	}
	if f.Namespace == "" {
		f.Namespace = ownNamespace()
	}
	if f.logging.Level != nil {
		f.logging.Level = capped{f.logging.Level}
	}
	return zap.New(zap.UseFlagOptions(&f.logging)), nil
}

// maxVerbosity is the highest log level that has an effect. From 8 on, the Kubernetes client prints what it sends and receives, Secrets too.
const maxVerbosity = 5

// capped enables no level above maxVerbosity, whatever a flag says.
type capped struct{ inner zapcore.LevelEnabler }

// Enabled implements zapcore.LevelEnabler.
func (c capped) Enabled(l zapcore.Level) bool {
	return l >= -maxVerbosity && c.inner.Enabled(l)
}

func ownNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if text, err := os.ReadFile(namespaceFile); err == nil {
		return strings.TrimSpace(string(text))
	}
	return DefaultNamespace
}

// RESTConfig finds the cluster.
func (f *Flags) RESTConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if errors.Is(err, clientcmd.ErrEmptyConfig) || (err != nil && clientcmd.IsEmptyConfig(err)) {
		return nil, errors.New("no cluster: set --kubeconfig or $KUBECONFIG, or run in a pod")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cfg.QPS, cfg.Burst = float32(f.KubeAPIQPS), f.KubeAPIBurst
	cfg.Timeout = time.Minute
	return cfg, nil
}

// Namespaces are those that caches watch; nil means all. The operator's own is not among them unless it is named.
func (f *Flags) Namespaces() map[string]cache.Config {
	var namespaces map[string]cache.Config
	for _, name := range strings.Split(f.WatchNamespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			if namespaces == nil {
				namespaces = map[string]cache.Config{}
			}
			namespaces[name] = cache.Config{}
		}
	}
	return namespaces
}

// Scheme knows the built-in kinds and this project's.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// Identity names this process; no other process ever has the same name, not even a restart of the same container.
func Identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails
	return host + "_" + hex.EncodeToString(b)
}
