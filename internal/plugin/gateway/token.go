package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/tiktok-operator/tiktok-operator/internal/access"
)

// noTokenError says that the kubeconfig has nothing to show to the private API.
type noTokenError struct{ why string }

func (e noTokenError) Error() string {
	return e.why + "; name a ServiceAccount of the namespace with --as-service-account"
}

// NeedsAccount says whether an error is that nobody was named whom the private API knows: --as-service-account is what lacks.
func (g *Gateway) NeedsAccount(err error) bool {
	if g.setting(accountFlag, g.account) != "" {
		return false
	}
	var refused *ProblemError
	return errors.As(err, &noTokenError{}) || (errors.As(err, &refused) && refused.Status == http.StatusUnauthorized)
}

// token is what the API is called with.
func (g *Gateway) token(ctx context.Context, config *rest.Config) (string, error) {
	if account := g.setting(accountFlag, g.account); account != "" {
		return g.target.Token(ctx, account, access.DefaultAudience)
	}
	if config.Impersonate.UserName != "" { // groups and the like are never without it
		return "", noTokenError{"the private API cannot be called as somebody else (--as): it would answer what you may do yourself"}
	}
	// How the user shows itself to the API server, be it by a token, a file or a program that makes one.
	shown := &shownHeader{}
	wrapped, err := rest.HTTPWrappersForConfig(config, shown)
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://private-api.invalid/", nil)
	if err != nil {
		return "", fmt.Errorf("making a request: %w", err)
	}
	resp, err := wrapped.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("getting the token of the kubeconfig: %w", err)
	}
	_ = resp.Body.Close()
	token, ok := strings.CutPrefix(shown.authorization, "Bearer ")
	if !ok || token == "" {
		return "", noTokenError{"the kubeconfig has no token that the private API could check"}
	}
	return token, nil
}

// shownHeader keeps the header of a request that goes nowhere.
type shownHeader struct{ authorization string }

// RoundTrip implements http.RoundTripper.
func (s *shownHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	s.authorization = r.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
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
