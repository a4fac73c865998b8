// Package process holds what the manager and the webhook binaries start with: the flags that both have, the logger, the cluster, and the
// namespace they run in.
package process

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
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
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "path of a kubeconfig; default: $KUBECONFIG, else ~/.kube/config, else the pod's own")
	fs.StringVar(&f.Namespace, "namespace", "", "the operator's own namespace; default: the pod's, else "+DefaultNamespace)
	fs.StringVar(&f.WatchNamespaces, "watch-namespaces", "", "namespaces whose channels are served, separated by commas; default: all")
	fs.StringVar(&f.MetricsAddress, "metrics-bind-address", metricsAddress, "address of the metrics endpoint; 0 turns it off")
	fs.StringVar(&f.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns it off")
	fs.Float64Var(&f.KubeAPIQPS, "kube-api-qps", 100, "requests a second to the Kubernetes API that this process allows itself")
	fs.IntVar(&f.KubeAPIBurst, "kube-api-burst", 200, "how far a burst may go beyond --kube-api-qps")
	f.logging = zap.Options{}
	f.logging.BindFlags(fs)
	// What controller-runtime says of its flags is for developers, and partly wrong.
	for name, usage := range map[string]string{
		"zap-devel":            "log for a person at a terminal: in text, from the level debug on",
		"zap-encoder":          "form of the log: json or console; default: json",
		"zap-log-level":        "how much is logged: error, info, debug, or a number from 1 (debug) to 5 for more; default: info",
		"zap-stacktrace-level": "level from which on a log entry has a stack trace: info, error or panic; default: error",
		"zap-time-encoding":    "form of times in the log: rfc3339, rfc3339nano, iso8601, epoch, millis or nanos; default: rfc3339",
	} {
		fs.Lookup(name).Usage = usage
	}
}

// Parse reads the flags of a binary and returns its logger. An error is an *InvalidError; flag.ErrHelp was answered already, on fs.Output.
func (f *Flags) Parse(fs *flag.FlagSet, args []string) (logr.Logger, error) {
	if err := flagenv.Parse(fs, args, os.LookupEnv); errors.Is(err, flag.ErrHelp) {
		return logr.Logger{}, err
	} else if err != nil {
		return logr.Logger{}, &InvalidError{Err: err}
	}
	if f.Namespace == "" {
		f.Namespace = ownNamespace(os.Getenv, namespaceFile)
	}
	if err := f.validate(); err != nil {
		return logr.Logger{}, err
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

// ownNamespace is where the pod runs, as the downward API or its ServiceAccount's volume tell.
func ownNamespace(getenv func(string) string, serviceAccountFile string) string {
	if ns := getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if text, err := os.ReadFile(serviceAccountFile); err == nil {
		if ns := strings.TrimSpace(string(text)); ns != "" {
			return ns
		}
	}
	return DefaultNamespace
}

func (f *Flags) validate() error {
	for flag, names := range map[string][]string{"--namespace": {f.Namespace}, "--watch-namespaces": f.watched()} {
		for _, name := range names {
			if len(validation.IsDNS1123Label(name)) > 0 {
				return Invalid("%s: %q is not the name of a namespace: those are lower-case letters, digits and dashes, at most 63", flag, name)
			}
		}
	}
	switch {
	case f.WatchNamespaces != "" && len(f.watched()) == 0:
		return Invalid("--watch-namespaces=%q names no namespace: leave it out to serve all", f.WatchNamespaces)
	case !(f.KubeAPIQPS > 0): // NaN too
		return Invalid("--kube-api-qps must be more than 0, not %v", f.KubeAPIQPS)
	case f.KubeAPIBurst < 1:
		return Invalid("--kube-api-burst must be at least 1, not %d", f.KubeAPIBurst)
	}
	return nil
}

// watched are the names of --watch-namespaces.
func (f *Flags) watched() []string {
	var names []string
	for name := range strings.SplitSeq(f.WatchNamespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Addresses are where the flags of both binaries listen.
func (f *Flags) Addresses() []Address {
	return []Address{
		{Flag: "--metrics-bind-address", Value: f.MetricsAddress, Optional: true},
		{Flag: "--health-probe-bind-address", Value: f.ProbeAddress, Optional: true},
	}
}

// Namespaces are those that caches watch; nil means all. The operator's own is not among them unless it is named.
func (f *Flags) Namespaces() map[string]cache.Config {
	var namespaces map[string]cache.Config
	for _, name := range f.watched() {
		if namespaces == nil {
			namespaces = map[string]cache.Config{}
		}
		namespaces[name] = cache.Config{}
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
