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
	return guard(network, address, zonePublic)
}

// GuardService is Guard for Services of the cluster, which have private addresses by nature. It refuses those at which no Service is, and somebody
// who may write Services, or what they lead to, might try to reach something else: this machine's, link-local ones, and clouds' metadata services.
func GuardService(network, address string, _ syscall.RawConn) error {
	return guard(network, address, zoneCluster)
}

// zone is what a connection is for.
type zone int

const (
	// zonePublic admits public addresses only.
	zonePublic zone = iota
	// zoneCluster admits whatever address a Service may have.
	zoneCluster
)

func guard(network, address string, z zone) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("connections are made over TCP, not %s", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &AddressError{Address: address, Kind: "not an IP address", Service: z == zoneCluster}
	}
	if kind := z.refuses(ap.Addr()); kind != "" {
		return &AddressError{Address: ap.Addr().String(), Kind: kind, Service: z == zoneCluster}
	}
	return nil
}

// notPublic says what kind of address it is if it is not a public one, else "".
func notPublic(a netip.Addr) string { return zonePublic.refuses(a) }

// refuses says what kind of address it is if it is not one of the zone, else "".
func (z zone) refuses(a netip.Addr) string {
	a = a.WithZone("").Unmap()
	for _, r := range reserved() {
		if !r.prefix.Contains(a) {
			continue
		}
		if (z == zonePublic && !r.carrier) || (z == zoneCluster && r.nobodys) {
			return r.kind
		}
		if r.embeds >= 0 {
			return z.refusesEmbedded(a, r.embeds, r.kind)
		}
		break
	}
	if z == zonePublic && a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return "reserved" // by no registry, but of IPv6 only that is in public use, and the rest is others' private networks at best
	}
	if b := a.As16(); a.Is6() && (isatap(b, 0) || isatap(b, 2)) {
		return z.refusesEmbedded(a, 12, "an ISATAP address")
	}
	return ""
}

// refusesEmbedded is about an address that carries an IPv4 address, to which a gateway may lead on.
func (z zone) refusesEmbedded(a netip.Addr, at int, carrier string) string {
	b := a.As16()
	if kind := z.refuses(netip.AddrFrom4([4]byte(b[at : at+4]))); kind != "" {
		return carrier + " for an address that is " + kind
	}
	return ""
}

func isatap(b [16]byte, flag byte) bool { return [4]byte(b[8:12]) == [4]byte{flag, 0, 0x5e, 0xfe} }

type block struct {
	prefix netip.Prefix
	kind   string
	// nobodys means that no Service has such an address either.
	nobodys bool
	// carrier means that the IPv4 address which it carries decides whether it is public. Else the whole block is not.
	carrier bool
	// embeds is where an IPv4 address begins that it carries, or may carry; -1 if it carries none.
	embeds int
}

// reserved lists what is not public: the special-purpose address registries of IANA (RFC 6890 and its kin), and before them what clouds put there.
// The first that contains an address says what it is.
func reserved() []block {
	const (
		loopback, linkLocal, private, multicast = "loopback", "link-local", "private", "multicast"
		unspecified, special, documentation     = "unspecified", "reserved", "for documentation only"
		metadata                                = "a cloud's metadata service"
	)
	ours := func(prefix, kind string) block {
		return block{prefix: netip.MustParsePrefix(prefix), kind: kind, embeds: -1}
	}
	nobodys := func(prefix, kind string) block {
		return block{prefix: netip.MustParsePrefix(prefix), kind: kind, nobodys: true, embeds: -1}
	}
	carrying := func(prefix, kind string, at int) block {
		return block{prefix: netip.MustParsePrefix(prefix), kind: kind, embeds: at}
	}
	carrier := func(prefix, kind string, at int) block {
		return block{prefix: netip.MustParsePrefix(prefix), kind: kind, carrier: true, embeds: at}
	}
	return []block{
		nobodys("168.63.129.16/32", metadata),   // Azure's, public by its number only
		nobodys("100.100.100.200/32", metadata), // Alibaba's
		nobodys("192.0.0.192/32", metadata),     // Oracle's
		nobodys("fd00:ec2::/32", metadata),      // Amazon's, with its other services for machines
		nobodys("fd00:c1::/32", metadata),       // Oracle's
		nobodys("fd20:ce::254/128", metadata),   // Google's
		nobodys("0.0.0.0/8", unspecified),
		ours("10.0.0.0/8", private),
		ours("100.64.0.0/10", private), // carriers' and clouds' shared space
		nobodys("127.0.0.0/8", loopback),
		nobodys("169.254.0.0/16", linkLocal), // the metadata service of most clouds
		ours("172.16.0.0/12", private),
		ours("192.0.0.0/24", special),
		ours("192.0.2.0/24", documentation),
		ours("192.88.99.0/24", special),
		ours("192.168.0.0/16", private),
		ours("198.18.0.0/15", special),
		ours("198.51.100.0/24", documentation),
		ours("203.0.113.0/24", documentation),
		nobodys("224.0.0.0/4", multicast),
		nobodys("255.255.255.255/32", "the broadcast address"),
		ours("240.0.0.0/4", special), // in which there are clusters
		nobodys("::1/128", loopback),
		nobodys("::/128", unspecified),
		carrier("64:ff9b::/96", "a NAT64 address", 12),
		carrying("64:ff9b:1::/48", private, 12), // NAT64 of a network's own
		carrier("2002::/16", "a 6to4 address", 2),
		carrying("::/96", special, 12), // IPv4-compatible, obsolete
		carrying("::ffff:0:0:0/96", special, 12),
		ours("100::/64", special),
		ours("2001::/23", special), // Teredo among others
		ours("2001:db8::/32", documentation),
		ours("3fff::/20", documentation),
		ours("5f00::/16", special),
		ours("fc00::/7", private),
		nobodys("fe80::/10", linkLocal),
		ours("fec0::/10", private),
		nobodys("ff00::/8", multicast),
	}
}
