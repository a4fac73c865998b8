package simulator

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// checkRedirect is TikTok's rules for redirect URIs. Only loopback hosts, for development, may use http or a port.
func checkRedirect(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("redirect_uri must be an absolute URL")
	case !transportAllowed(u):
		return nil, errors.New("redirect_uri must begin with https:// (http is for loopback hosts only)")
	case u.User != nil:
		return nil, errors.New("redirect_uri must not contain a user name or a password")
	case strings.ContainsAny(text, "?#"):
		return nil, errors.New("redirect_uri must have no query and no fragment")
	case strings.HasSuffix(u.Host, ":") || (u.Port() != "" && !loopback(u.Hostname())):
		return nil, errors.New("redirect_uri must have no port (loopback hosts may)")
	case !strings.HasSuffix(u.Path, "/"):
		return nil, errors.New("redirect_uri must end in a slash")
	case len(text) < 10 || len(text) > 512:
		return nil, errors.New("redirect_uri must have 10 to 512 characters")
	}
	return u, nil
}

func transportAllowed(u *url.URL) bool {
	return u.Scheme == "https" || (u.Scheme == "http" && loopback(u.Hostname()))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
