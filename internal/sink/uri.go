package sink

import (
	"encoding/binary"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// uriURL reads a sink's uri. The schema asks for the same; an object that was stored before it did, or past it, is refused here. What is wrong
// is not quoted: a uri may hold credentials.
func uriURL(s *v1alpha1.Sink) (*url.URL, error) {
	refused := func(problem string) (*url.URL, error) { return nil, &InvalidError{Sink: s.Name, Problem: problem} }
	u, err := url.Parse(s.URI)
	if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return refused("its uri is not an absolute http or https URL")
	}
	if u.User != nil {
		return refused("its uri holds a user: give a credential as bearerTokenSecretRef")
	}
	if u.Scheme == "http" && !isLoopbackName(u.Hostname()) {
		return refused("its uri is http, which is for loopback hosts only: use https")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return refused("its uri's port is not one from 1 to 65535")
		}
	}
	if _, err := idna.Lookup.ToASCII(u.Hostname()); err != nil && !isASCII(u.Hostname()) {
		return refused("its uri's host is not a domain name")
	}
	return u, nil
}

// isLoopbackName says whether the schema admits http for a host.
func isLoopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// CheckHost tells, without asking anybody, that Guard would refuse whatever the URL's host leads to: it is a literal address, in any of the ways
// in which resolvers read one, or names this machine. The error is an *AddressError. For other names nil says nothing: Guard sees where they
// lead, when they are dialled.
func CheckHost(u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	if !isASCII(host) {
		// As net/http does: full stops and digits of other scripts become those of ASCII.
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return nil //nolint:nilerr // no address; that it is no name either, uriURL says
		}
		host = ascii
	}
	host = strings.TrimRight(host, ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return &AddressError{Address: host, Kind: "loopback"}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		var ok bool
		if a, ok = oldAddr(host); !ok {
			return nil
		}
	}
	if kind := notPublic(a); kind != "" {
		return &AddressError{Address: host, Kind: kind}
	}
	return nil
}

// oldAddr reads an IPv4 address as the C library's inet_aton does, which is also behind getaddrinfo: one to four numbers, decimal, octal or
// hexadecimal, of which the last fills the bytes that remain.
func oldAddr(host string) (netip.Addr, bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		if strings.Contains(part, "_") || strings.HasPrefix(part, "0b") || strings.HasPrefix(part, "0o") {
			return netip.Addr{}, false // of Go's numbers, but not of C's
		}
		n, err := strconv.ParseUint(part, 0, 32)
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if err != nil || n >= 1<<bits {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	all := binary.BigEndian.AppendUint64(nil, value)
	return netip.AddrFrom4([4]byte(all[4:])), true
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }
