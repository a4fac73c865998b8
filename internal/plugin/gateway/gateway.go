// Package gateway reaches the private API of the webhook deployment: through a port-forward, or at an address that a flag gives, with a token
// that the API takes.
package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/access"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Gateway makes calls of the private API.
type Gateway struct {
	target            *target.Target
	operatorNamespace string
	address, caFile   string
	account           string
}

// New returns a gateway into the target's cluster.
func New(t *target.Target) *Gateway { return &Gateway{target: t} }

// AddFlags adds how the API is reached. Their names differ from kubectl's own, which are about the API server.
func (g *Gateway) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&g.operatorNamespace, "operator-namespace", "tiktok-operator-system",
		"Namespace of the operator, for the port-forward to its private API")
	fs.StringVar(&g.address, "api-url", "", "Address of the private API, such as https://messaging.internal, instead of a port-forward")
	fs.StringVar(&g.caFile, "api-ca-file", "", "Certificates of the authorities that --api-url is trusted by; default: the system's")
	fs.StringVar(&g.account, "as-service-account", "",
		"ServiceAccount of the namespace to call the private API as; a token is requested for it. Default: the token of the kubeconfig")
}

// Path is the path of what the API has of a channel; each further part is escaped.
func Path(key client.ObjectKey, parts ...string) string {
	path := "/v1/namespaces/" + url.PathEscape(key.Namespace) + "/channels/" + url.PathEscape(key.Name)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// Do makes a call with a JSON body, if there is one, and decodes the answer into out, which may be a *[]byte to have it as it came. An error
// says in a sentence what the API has against it.
func (g *Gateway) Do(ctx context.Context, method, path string, body, out any) error {
	return g.do(ctx, method, path, nil, body, out)
}

// Send posts a body with an Idempotency-Key; an empty one is left out.
func (g *Gateway) Send(ctx context.Context, path, idempotencyKey string, body, out any) error {
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	return g.do(ctx, http.MethodPost, path, header, body, out)
}

func (g *Gateway) do(ctx context.Context, method, path string, header http.Header, body, out any) error {
	return g.Call(ctx, func(c *http.Client, base string) error {
		var content io.Reader
		if body != nil {
			text, err := json.Marshal(body)
			if err != nil {
				return fmt.Errorf("encoding the request: %w", err)
			}
			content = bytes.NewReader(text)
		}
		req, err := http.NewRequestWithContext(ctx, method, base+path, content)
		if err != nil {
			return fmt.Errorf("making the request: %w", err)
		}
		maps.Copy(req.Header, header)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.Do(req)
		if err != nil {
			return fmt.Errorf("calling the private API: %w", err)
		}
		return Decode(resp, out)
	})
}

// Decode reads an answer of the API, and closes it.
func Decode(resp *http.Response, out any) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return problem(resp, text)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	return nil
}

// problem is what an answer says in the form of RFC 9457.
func problem(resp *http.Response, text []byte) error {
	var p struct {
		Title, Detail   string
		PossibleReasons []string
	}
	if json.Unmarshal(text, &p) != nil || p.Title == "" {
		return fmt.Errorf("the private API answers %s", resp.Status)
	}
	message := strings.TrimSuffix(p.Title, ".")
	if p.Detail != "" {
		message += ": " + p.Detail
	}
	for _, reason := range p.PossibleReasons {
		message += "\n  perhaps: " + reason
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		message += "\n  the token of a kubeconfig is seldom made for the API; --as-service-account NAME requests one that is"
	case http.StatusForbidden:
		message += "\n  the ClusterRoles …-channel-viewer, …-channel-reader and …-channel-messenger of the operator grant what this needs"
	}
	return errors.New(message)
}

// Call makes calls with a client that authenticates itself, at the base address of the API.
func (g *Gateway) Call(ctx context.Context, do func(c *http.Client, base string) error) error {
	config, err := g.target.Config()
	if err != nil {
		return err
	}
	token, err := g.token(ctx, config)
	if err != nil {
		return err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	base := strings.TrimSuffix(g.address, "/")
	if base == "" {
		forward, err := g.forward(ctx, config)
		if err != nil {
			return err
		}
		defer forward.close()
		// The webhook signs its certificate itself, unless it was given one for its Service's name, which localhost is not. Who is at the other
		// end is vouched for by the API server, which leads there.
		transport.TLSClientConfig.InsecureSkipVerify = true
		transport.Proxy = nil
		base = forward.address
	} else if err := g.trust(transport.TLSClientConfig); err != nil {
		return err
	}
	return do(&http.Client{
		Transport:     &bearer{token: token, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this host alone
	}, base)
}

func (g *Gateway) trust(config *tls.Config) error {
	if !strings.HasPrefix(g.address, "https://") {
		return errors.New("--api-url must be https: a token goes there")
	}
	if g.caFile == "" {
		return nil
	}
	text, err := os.ReadFile(g.caFile)
	if err != nil {
		return fmt.Errorf("--api-ca-file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return errors.New("--api-ca-file holds no certificate")
	}
	return nil
}

// token is what the API is called with.
func (g *Gateway) token(ctx context.Context, config *rest.Config) (string, error) {
	if g.account != "" {
		return g.target.Token(ctx, g.account, access.DefaultAudience)
	}
	if config.BearerToken != "" {
		return config.BearerToken, nil
	}
	if config.BearerTokenFile != "" {
		text, err := os.ReadFile(config.BearerTokenFile)
		if err != nil {
			return "", fmt.Errorf("reading the token of the kubeconfig: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	return "", errors.New("the kubeconfig has no token that the private API could check; " +
		"name a ServiceAccount of the namespace with --as-service-account")
}

// bearer adds the token.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}
