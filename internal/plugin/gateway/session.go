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
	"net/http"
	"os"
	"strings"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// Session is a way to the API that is open, with one token. The token of a ServiceAccount lives for ten minutes: whatever goes on for longer opens
// another one for its next call.
type Session struct {
	client    *http.Client
	base      string
	transport *http.Transport
	tunnel    *tunnel
}

// Open opens a session, which is to be closed.
func (g *Gateway) Open(ctx context.Context) (*Session, error) {
	config, err := g.target.Config()
	if err != nil {
		return nil, err
	}
	token, err := g.token(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &Session{
		transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
		base:      strings.TrimSuffix(g.setting(addressFlag, g.address), "/"),
	}
	if s.base == "" {
		if s.tunnel, err = g.forward(ctx, config); err != nil {
			return nil, err
		}
		// The webhook signs its certificate itself, unless it was given one for its Service's name, which localhost is not. Who is at the other
		// end is vouched for by the API server, which leads there.
		s.transport.TLSClientConfig.InsecureSkipVerify = true
		s.transport.Proxy = nil
		s.base = s.tunnel.address
	} else if err := trust(s.transport.TLSClientConfig, s.base, g.setting(caFileFlag, g.caFile)); err != nil {
		return nil, err
	}
	s.client = &http.Client{
		Transport:     &bearer{token: token, next: s.transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this host alone
	}
	return s, nil
}

// Close ends the session.
func (s *Session) Close() {
	s.transport.CloseIdleConnections()
	if s.tunnel != nil {
		s.tunnel.close()
	}
}

// Do makes a call with a JSON body, if there is one, and decodes the answer into out, if that is not nil. An error says in a sentence what the
// API has against it; it is a *ProblemError, if the API answered.
func (s *Session) Do(ctx context.Context, method, path string, body, out any) error {
	return s.do(ctx, method, path, nil, body, out)
}

// Send posts a body with an Idempotency-Key; an empty one is left out.
func (s *Session) Send(ctx context.Context, path, idempotencyKey string, body, out any) error {
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	return s.do(ctx, http.MethodPost, path, header, body, out)
}

// Stream opens a stream of server-sent events, whose body is to be closed.
func (s *Session) Stream(ctx context.Context, path, lastEventID string) (*http.Response, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if lastEventID != "" {
		header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := s.call(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, decode(resp, nil)
	}
	return resp, nil
}

func (s *Session) do(ctx context.Context, method, path string, header http.Header, body, out any) error {
	resp, err := s.call(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	return decode(resp, out)
}

func (s *Session) call(ctx context.Context, method, path string, header http.Header, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, content)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if header != nil {
		req.Header = header
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the private API: %w", err)
	}
	return resp, nil
}

// decode reads an answer of the API, and closes it.
func decode(resp *http.Response, out any) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return problem(resp, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	return nil
}

// trust says whose certificates are good at an address.
func trust(config *tls.Config, address, caFile string) error {
	if !strings.HasPrefix(address, "https://") {
		return errors.New("--api-url must be https: a token goes there")
	}
	if caFile == "" {
		return nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("--api-ca-file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return errors.New("--api-ca-file holds no certificate")
	}
	return nil
}
