package tiktok

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// MediaType is a kind of media that can be downloaded.
type MediaType string

// Kinds of media.
const (
	MediaImage MediaType = "IMAGE"
	MediaVideo MediaType = "VIDEO"
)

// MediaRef names the media of a message.
type MediaRef struct {
	ConversationID, MessageID, MediaID string
	Type                               MediaType
}

// Media is a download that has begun. Close Body.
type Media struct {
	// ContentType is what the server claims, such as image/jpeg, without parameters; "" if it claims nothing. It is not checked here.
	ContentType string
	// Length in bytes; -1 if the server does not say.
	Length int64
	// Body ends with ErrMediaTooLarge where it is longer than was allowed.
	Body io.ReadCloser
}

// ErrMediaTooLarge says that media are longer than allowed.
var ErrMediaTooLarge = errors.New("the media are larger than allowed")

const (
	downloadEndpoint = "business/message/media/download/"
	// fetchEndpoint names the second half of a download in errors and metrics.
	fetchEndpoint = "download_url"
	// maxRedirects that a download follows, all within one host.
	maxRedirects = 3
)

// DownloadMedia begins to download the media of a message, at most limit bytes of them. TikTok answers with an address, to which the token goes
// in a header: only over TLS (or to the API's own host, as with the simulator), only to where Config.DialDownload lets it, and never on to
// another host. The context ends the download also while Body is read; there is no other limit of its time.
func (c *Client) DownloadMedia(ctx context.Context, accessToken Secret, businessID string, m MediaRef, limit int64) (*Media, error) {
	if m.Type != MediaImage && m.Type != MediaVideo {
		return nil, c.unsendable(downloadEndpoint, errors.New("the media type is neither IMAGE nor VIDEO"), accessToken)
	}
	var data downloadWire
	err := c.do(ctx, call{
		method: http.MethodPost, endpoint: downloadEndpoint, accessToken: &accessToken,
		body: map[string]string{
			"business_id": businessID, "conversation_id": m.ConversationID, "message_id": m.MessageID, "media_id": m.MediaID,
			"media_type": string(m.Type),
		},
	}, &data)
	if err != nil {
		return nil, err
	}
	start := c.config.Clock.Now()
	media, failure := c.fetch(ctx, accessToken, string(data.URL), limit)
	if c.config.Observe != nil {
		c.config.Observe(Observation{Endpoint: fetchEndpoint, Code: observedCode(failure), Duration: c.config.Clock.Since(start)})
	}
	if failure != nil { // a nil *Error must not become an error
		return nil, failure
	}
	return media, nil
}

type downloadWire struct {
	URL text `json:"download_url"`
}

func (w *downloadWire) lacks() string {
	if w.URL == "" {
		return "download_url"
	}
	return ""
}

// fetch follows the address. What is said of it names the host at most: the rest is a key to the media.
func (c *Client) fetch(ctx context.Context, accessToken Secret, address string, limit int64) (*Media, *Error) {
	secrets := []Secret{accessToken, c.config.AppSecret, Secret(address)}
	u, err := c.downloadable(address)
	if err != nil {
		return nil, &Error{Class: ClassMalformed, Endpoint: fetchEndpoint, Message: bound(err.Error(), secrets)}
	}
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, &Error{Class: ClassMalformed, Endpoint: fetchEndpoint, Message: "the download address makes no valid request"}
		}
		req.Header.Set("X-User", accessToken.Reveal())
		req.Header.Set("User-Agent", userAgent)
		resp, err := c.downloader(u).Do(req)
		if err != nil {
			return nil, networkError(call{endpoint: fetchEndpoint, secrets: secrets}, err, false)
		}
		if resp.StatusCode == http.StatusOK {
			return c.media(resp, limit, secrets)
		}
		next, redirected := redirect(u, resp)
		_ = resp.Body.Close() // nothing of it is read
		if !redirected {
			e := &Error{
				Endpoint: fetchEndpoint, HTTPStatus: resp.StatusCode, LogID: bound(resp.Header.Get("x-tt-logid"), secrets),
				Class: classify(resp.StatusCode, codeOK), Message: "the media cannot be downloaded",
			}
			if e.Class == ClassTokenRefused || e.Class == ClassScopeMissing {
				// An address that has expired is refused alike: that must not cost a business its authorization.
				e.Class = ClassPermanent
			}
			e.RetryAfter = retryAfter(resp.Header, e.Class, c.config.Clock.Now())
			return nil, e
		}
		if next == nil {
			return nil, &Error{
				Class: ClassMalformed, Endpoint: fetchEndpoint, HTTPStatus: resp.StatusCode,
				Message: "the download redirects to another host, to which the token must not go",
			}
		}
		u = next
	}
	return nil, &Error{Class: ClassMalformed, Endpoint: fetchEndpoint, Message: "the download redirects too often"}
}

// redirect is where an answer leads on within the same host; nil for another one.
func redirect(from *url.URL, resp *http.Response) (next *url.URL, redirected bool) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, false
	}
	next, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || next.Scheme != from.Scheme || next.Host != from.Host || next.User != nil {
		return nil, true
	}
	return next, true
}

// downloadable reads a download address: https, or the API's own scheme and host.
func (c *Client) downloadable(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("the download address is no absolute URL without a user")
	}
	switch {
	case c.ownHost(u):
	case u.Scheme != "https":
		return nil, errors.New("the download address is not https")
	case c.config.DialDownload == nil:
		return nil, errors.New("the download address is on another host than the API's, and none is allowed")
	}
	return u, nil
}

func (c *Client) ownHost(u *url.URL) bool { return u.Scheme == c.api.Scheme && u.Host == c.api.Host }

// downloader is the client for an address: for the API's own host that of the calls, without the timeout that would cut a video off; for others
// one of its own, whose every connection DialDownload sees. No proxy is between, as it would see the proxy instead.
func (c *Client) downloader(u *url.URL) *http.Client {
	if c.ownHost(u) {
		own := *c.config.HTTPClient
		own.Timeout = 0
		return &own
	}
	return c.downloads
}

func newDownloader(control func(network, address string, conn syscall.RawConn) error) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			DisableKeepAlives:      true, // a Client may be made for one download
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // media are compressed; what unpacks to gigabytes is no image
		},
		CheckRedirect: stay,
	}
}

func (c *Client) media(resp *http.Response, limit int64, secrets []Secret) (*Media, *Error) {
	if resp.ContentLength > limit {
		_ = resp.Body.Close() // nothing of it is read
		return nil, &Error{
			Class: ClassPermanent, Endpoint: fetchEndpoint, HTTPStatus: resp.StatusCode, cause: ErrMediaTooLarge,
			Message: fmt.Sprintf("the media are larger than the %d bytes that are allowed", limit),
		}
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	return &Media{
		ContentType: bound(kind, secrets), Length: resp.ContentLength, Body: &boundedBody{body: resp.Body, left: limit, secrets: secrets},
	}, nil
}

// boundedBody reads up to a limit. Errors of the connection are made fit to be shown.
type boundedBody struct {
	body    io.ReadCloser
	left    int64
	secrets []Secret
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrMediaTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // a byte more, to tell the end from the limit
	}
	n, err := b.body.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = -1
		return n, ErrMediaTooLarge
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if known := contextError(err); known != nil {
			return n, known
		}
		return n, errors.New("the download broke off: " + bound(withoutQueries(strings.TrimSpace(err.Error())), b.secrets))
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// Close implements io.Closer.
func (b *boundedBody) Close() error { return b.body.Close() }
