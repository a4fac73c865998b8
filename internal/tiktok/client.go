// Package tiktok is the typed client of TikTok's Business API: authorization, tokens, profiles, webhook configuration, messages and their
// media; the signature and the envelope of the webhooks that TikTok sends; and the one place that says what each of TikTok's errors means.
//
// It reads leniently (unknown fields, numbers as strings, missing optional fields) and sends strictly. It must not store anything, retry
// anything, or import anything of the project, and no error of it holds a secret.
package tiktok

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"k8s.io/utils/clock"
)

// Endpoints of TikTok itself.
const (
	// DefaultAPIEndpoint is the base URL of the Business API.
	DefaultAPIEndpoint = "https://business-api.tiktok.com/open_api/v1.3/"
	// DefaultAuthorizeEndpoint is the page where a person consents.
	DefaultAuthorizeEndpoint = "https://www.tiktok.com/v2/auth/authorize"
)

// Config of a Client.
type Config struct {
	// AppID and AppSecret identify the developer app. Both are required.
	AppID     string
	AppSecret Secret
	// APIEndpoint is the base URL of the API; "" means DefaultAPIEndpoint. A missing final slash is added.
	APIEndpoint string
	// AuthorizeEndpoint is the consent page; "" means DefaultAuthorizeEndpoint. It may carry a query, which is kept.
	AuthorizeEndpoint string
	// HTTPClient makes the calls; nil means NewHTTPClient(). Redirects are not followed, whatever it says: they would carry tokens elsewhere.
	HTTPClient *http.Client
	// DialDownload is asked about every address that a download dials, as net.Dialer.Control is: TikTok names the hosts, and nobody lists them,
	// so that it must refuse what is not public. nil allows downloads from the API's own host only, which it is not asked about.
	DialDownload func(network, address string, conn syscall.RawConn) error
	// Limiter gives a permit for each call; nil means no limit.
	Limiter *Limiter
	// Observe is told of each call that was made, after it; it may be called by several goroutines at once.
	Observe func(Observation)
	// Clock defaults to the real one.
	Clock clock.PassiveClock
}

// Observation is one call, for a metric.
type Observation struct {
	// Endpoint is the path after the API's base URL.
	Endpoint string
	// Code is TikTok's code ("0" is success), or "http_502" and the like, "network" where there was no answer, or "malformed".
	Code string
	// Duration is how long the call took, without the wait for a permit.
	Duration time.Duration
}

// Client calls TikTok for one app. It is safe for concurrent use.
type Client struct {
	config    Config
	api       *url.URL
	authorize *url.URL
	downloads *http.Client
}

// NewClient checks the configuration and returns a Client. It calls nobody.
func NewClient(config Config) (*Client, error) {
	if config.AppID == "" || config.AppSecret == "" {
		return nil, errors.New("an app id and an app secret are required")
	}
	if config.APIEndpoint == "" {
		config.APIEndpoint = DefaultAPIEndpoint
	}
	if config.AuthorizeEndpoint == "" {
		config.AuthorizeEndpoint = DefaultAuthorizeEndpoint
	}
	if config.HTTPClient == nil {
		config.HTTPClient = NewHTTPClient()
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	httpClient := *config.HTTPClient
	httpClient.CheckRedirect = stay
	config.HTTPClient = &httpClient
	api, err := parseEndpoint(config.APIEndpoint)
	if err != nil {
		return nil, fmt.Errorf("the API endpoint: %w", err)
	}
	if api.RawQuery != "" {
		return nil, errors.New("the API endpoint must have no query")
	}
	authorize, err := parseEndpoint(config.AuthorizeEndpoint)
	if err != nil {
		return nil, fmt.Errorf("the authorize endpoint: %w", err)
	}
	return &Client{config: config, api: api, authorize: authorize, downloads: newDownloader(config.DialDownload)}, nil
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil || strings.Contains(endpoint, "#") {
		return nil, errors.New("must be an absolute http or https URL without user or fragment")
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, errors.New("has a query that cannot be read")
	}
	return u, nil
}

// Granted returns a Client that takes no permits: for a caller that holds one already, from Limiter.Reserve.
func (c *Client) Granted() *Client {
	granted := *c
	granted.config.Limiter = nil
	return &granted
}

// Format implements fmt.Formatter, so that a Client that is printed by mistake does not show the app secret.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "TikTok client of app %s", c.config.AppID)
}

// NewHTTPClient returns an HTTP client with every timeout set, TLS verified, and no redirects followed.
func NewHTTPClient() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			ExpectContinueTimeout:  time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    32,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			// All calls share one connection. One that died without a word is left within 25 seconds; else each call would time out on it, and whether a
			// refresh was made would be unknown, until the kernel gives up after a quarter of an hour.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		},
		CheckRedirect: stay,
	}
}

// stay follows no redirect: TikTok's API makes none.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
