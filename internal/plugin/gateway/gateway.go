// Package gateway reaches the private API of the webhook deployment: through a port-forward, or at an address that a flag gives, with a token
// that the API takes.
package gateway

import (
	"context"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/flagenv"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Names of flags.
const (
	namespaceFlag = "operator-namespace"
	addressFlag   = "api-url"
	caFileFlag    = "api-ca-file"
	accountFlag   = "as-service-account"
)

// Gateway makes calls of the private API.
type Gateway struct {
	target            *target.Target
	operatorNamespace string
	address, caFile   string
	account           string
	// flags of the commands that have some of these.
	flags []*pflag.FlagSet
}

// New returns a gateway into the target's cluster.
func New(t *target.Target) *Gateway { return &Gateway{target: t} }

// AddFlags adds how the API is reached. Their names differ from kubectl's own, which are about the API server.
func (g *Gateway) AddFlags(cmd *cobra.Command) {
	g.AddNamespaceFlag(cmd, "Namespace of the operator, for the port-forward to its private API")
	fs := cmd.Flags()
	fs.StringVar(&g.address, addressFlag, "", "Address of the private API, such as https://messaging.internal, instead of a port-forward")
	fs.StringVar(&g.caFile, caFileFlag, "", "Certificates of the authorities that --api-url is trusted by; default: the system's")
	fs.StringVar(&g.account, accountFlag, "",
		"ServiceAccount of the namespace to call the private API as; a token is requested for it. Default: the token of the kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc(accountFlag, g.target.CompleteServiceAccount) // the flag is there
}

// AddNamespaceFlag adds where the operator is, and nothing else.
func (g *Gateway) AddNamespaceFlag(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&g.operatorNamespace, namespaceFlag, "tiktok-operator-system", usage)
	_ = cmd.RegisterFlagCompletionFunc(namespaceFlag, g.target.CompleteNamespace) // the flag is there
	g.flags = append(g.flags, cmd.Flags())
}

// Namespace is the operator's.
func (g *Gateway) Namespace() string { return g.setting(namespaceFlag, g.operatorNamespace) }

// setting is the value of a flag, or, where it was not given, of the variable that is named as those of the operator's binaries are.
func (g *Gateway) setting(flag, value string) string {
	for _, fs := range g.flags {
		if fs.Changed(flag) {
			return value
		}
	}
	if text := os.Getenv(flagenv.Variable(flag)); text != "" {
		return text
	}
	return value
}

// Path is the path of what the API has of a channel; each further part is escaped.
func Path(key client.ObjectKey, parts ...string) string {
	path := "/v1/namespaces/" + url.PathEscape(key.Namespace) + "/channels/" + url.PathEscape(key.Name)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// Get makes one call in a session of its own, and decodes the answer into out.
func (g *Gateway) Get(ctx context.Context, path string, out any) error {
	return g.With(ctx, func(s *Session) error { return s.Do(ctx, http.MethodGet, path, nil, out) })
}

// With opens a session for what a function does, and closes it.
func (g *Gateway) With(ctx context.Context, do func(*Session) error) error {
	s, err := g.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}
