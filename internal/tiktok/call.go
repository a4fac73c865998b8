package tiktok

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"
)

// userAgent is how the operator introduces itself.
const userAgent = "tiktok-operator"

// call is one API call. TikTok's endpoints know no optional parameters that are sent here: each must have a value.
type call struct {
	method, endpoint string
	query, body      map[string]string
	// payload is the body of calls whose parameters have a form of their own, instead of body; who makes it checks it.
	payload *payload
	// maxAnswer is how much of the answer is read, in bytes; 0 means the limit of calls that list nothing.
	maxAnswer int64
	// accessToken goes into the header of calls about a business.
	accessToken *Secret
	// secrets are those that the parameters hold, besides the app secret: they are taken out of whatever is said about the call.
	secrets []Secret
}

// payload is a body with its type.
type payload struct {
	contentType string
	content     []byte
}

// do makes the call and decodes the data of its answer into out, which may be nil. Every error is an *Error.
func (c *Client) do(ctx context.Context, r call, out any) error {
	r.secrets = append(slices.Clone(r.secrets), c.config.AppSecret)
	if r.accessToken != nil {
		r.secrets = append(r.secrets, *r.accessToken)
	}
	req, err := c.request(r)
	if err != nil {
		return &Error{Class: ClassPermanent, Endpoint: r.endpoint, NotSent: true, Message: bound(err.Error(), r.secrets)}
	}
	if c.config.Limiter != nil {
		if err := c.config.Limiter.Wait(ctx); err != nil {
			return &Error{
				Class: ClassTransient, Endpoint: r.endpoint, NotSent: true, cause: contextError(err),
				Message: bound("waiting for a permit of the app's rate limit: "+err.Error(), r.secrets),
			}
		}
	}
	start := c.config.Clock.Now()
	failure := c.send(ctx, r, req, out)
	if c.config.Observe != nil {
		c.config.Observe(Observation{Endpoint: r.endpoint, Code: observedCode(failure), Duration: c.config.Clock.Since(start)})
	}
	if failure != nil { // a nil *Error must not become an error
		return failure
	}
	return nil
}

// request makes the HTTP request, or says what is missing.
func (c *Client) request(r call) (*http.Request, error) {
	for _, parameters := range []map[string]string{r.query, r.body} {
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			if parameters[name] == "" {
				return nil, fmt.Errorf("the request lacks %s", name)
			}
		}
	}
	u := c.api.JoinPath(r.endpoint)
	if !strings.HasSuffix(u.Path, "/") {
		return nil, errors.New("the path lacks its final slash, without which TikTok answers 404")
	}
	query := url.Values{}
	for name, value := range r.query {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		r.payload = &payload{"application/json", text}
	}
	var body io.Reader
	if r.payload != nil {
		body = bytes.NewReader(r.payload.content)
	}
	req, err := http.NewRequest(r.method, u.String(), body) //nolint:noctx // send adds it
	if err != nil {
		return nil, errors.New("the endpoint makes no valid URL")
	}
	if r.payload != nil {
		req.Header.Set("Content-Type", r.payload.contentType)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	if r.accessToken != nil {
		token := r.accessToken.Reveal()
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }) {
			return nil, errors.New("the access token is empty, or holds characters that a header cannot carry")
		}
		req.Header.Set("Access-Token", token)
	}
	return req, nil
}

func (c *Client) send(ctx context.Context, r call, req *http.Request, out any) *Error {
	// The first header that is written is the point from which on TikTok may have seen the request.
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { written.Store(true) }})
	resp, err := c.config.HTTPClient.Do(req.WithContext(ctx))
	if err != nil {
		return networkError(r, err, !written.Load())
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or given up
	return c.decodeAnswer(r, resp, out)
}

// networkError describes a call without an answer. The URL is not quoted: its query may hold the app secret.
func networkError(r call, err error, notSent bool) *Error {
	message := withoutQueries(withoutURL(err).Error())
	if strings.Contains(message, "Location header") { // which it quotes, and which may echo the request
		message = "the answer redirects to an address that cannot be read"
	}
	return &Error{
		Class: ClassTransient, Endpoint: r.endpoint, NotSent: notSent, cause: contextError(err), Message: bound(message, r.secrets),
	}
}

// observedCode is a call's result as a metric's label: a small set of values.
func observedCode(err *Error) string {
	switch {
	case err == nil:
		return "0"
	case err.Code != codeOK:
		return strconv.Itoa(err.Code)
	case err.Class == ClassMalformed:
		return "malformed"
	case err.HTTPStatus == 0:
		return "network"
	default:
		return fmt.Sprintf("http_%d", err.HTTPStatus)
	}
}
