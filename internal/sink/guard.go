package sink

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// Guard is for net.Dialer.Control, of whoever dials addresses that others name, not of sinks alone: it refuses, with an *AddressError, to
// connect to anything but public addresses. It sees the address that a name was resolved to, each time a connection is made, so that a name
// which resolves differently later gets nowhere either.
func Guard(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("public addresses are reached over TCP, not %s", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &AddressError{Address: address, Kind: "not an IP address"}
	}
	if kind := notPublic(ap.Addr()); kind != "" {
		return &AddressError{Address: ap.Addr().String(), Kind: kind}
	}
	return nil
}

// notPublic says what kind of address it is if it is not a public one, else "".
func notPublic(a netip.Addr) string {
	a = a.WithZone("").Unmap()
	for _, r := range reserved() {
		if r.prefix.Contains(a) {
			if r.embeds < 0 {
				return r.kind
			}
			// The address carries an IPv4 address, to which a gateway may lead on.
			b := a.As16()
			v4 := netip.AddrFrom4([4]byte(b[r.embeds : r.embeds+4]))
			if kind := notPublic(v4); kind != "" {
				return r.kind + " for an address that is " + kind
			}
			return ""
		}
	}
	if a.Is6() {
		return notPublic6(a)
	}
	return ""
}

// notPublic6 is for what no registry reserves: of IPv6 only 2000::/3 is in public use, and the rest is others' private networks at best.
func notPublic6(a netip.Addr) string {
	if !netip.MustParsePrefix("2000::/3").Contains(a) {
		return "reserved"
	}
	b := a.As16()
	if marker := [4]byte(b[8:12]); marker == [4]byte{0, 0, 0x5e, 0xfe} || marker == [4]byte{2, 0, 0x5e, 0xfe} {
		if kind := notPublic(netip.AddrFrom4([4]byte(b[12:16]))); kind != "" {
			return "an ISATAP address for an address that is " + kind
		}
	}
	return ""
}

type block struct {
	prefix netip.Prefix
	kind   string
	// embeds is where an IPv4 address begins that decides instead; -1 if the block is refused as a whole.
	embeds int
}

// reserved lists what is not public: the special-purpose address registries of IANA (RFC 6890 and its kin).
func reserved() []block {
	const (
		loopback, linkLocal, private, multicast = "loopback", "link-local", "private", "multicast"
		unspecified, special, documentation     = "unspecified", "reserved", "for documentation only"
	)
	whole := func(prefix, kind string) block { return block{netip.MustParsePrefix(prefix), kind, -1} }
	return []block{
		whole("0.0.0.0/8", unspecified),
		whole("10.0.0.0/8", private),
		whole("100.64.0.0/10", private), // carriers' and clouds' shared space
		whole("127.0.0.0/8", loopback),
		whole("168.63.129.16/32", "a cloud's metadata service"), // Azure's, public by its number only
		whole("169.254.0.0/16", linkLocal),                      // the metadata service of clouds
		whole("172.16.0.0/12", private),
		whole("192.0.0.0/24", special),
		whole("192.0.2.0/24", documentation),
		whole("192.88.99.0/24", special),
		whole("192.168.0.0/16", private),
		whole("198.18.0.0/15", special),
		whole("198.51.100.0/24", documentation),
		whole("203.0.113.0/24", documentation),
		whole("224.0.0.0/4", multicast),
		whole("240.0.0.0/4", special),
		whole("::1/128", loopback),
		whole("::/128", unspecified),
		{netip.MustParsePrefix("64:ff9b::/96"), "a NAT64 address", 12},
		whole("64:ff9b:1::/48", private),
		{netip.MustParsePrefix("2002::/16"), "a 6to4 address", 2},
		whole("::/96", special), // IPv4-compatible, obsolete
		whole("::ffff:0:0:0/96", special),
		whole("100::/64", special),
		whole("2001::/23", special), // Teredo among others
		whole("2001:db8::/32", documentation),
		whole("3fff::/20", documentation),
		whole("5f00::/16", special),
		whole("fc00::/7", private),
		whole("fe80::/10", linkLocal),
		whole("fec0::/10", private),
		whole("ff00::/8", multicast),
	}
}
