package sink_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server: the addresses of each name, one set after the other, the last for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
}

// resolver asks it, over a pipe.
func (n *names) resolver(t *testing.T) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if err := n.serve(server); err != nil {
				t.Errorf("the DNS server: %v", err)
			}
		}()
		return client, nil
	}}
}

// serve answers what comes, framed as over TCP, until the client hangs up.
func (n *names) serve(conn net.Conn) error {
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil //nolint:nilerr // the client has hung up
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return err
		}
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil {
			return err
		}
		n.answer(&m)
		reply, err := m.AppendPack(make([]byte, 2))
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint16(reply, uint16(len(reply)-2))
		if _, err := conn.Write(reply); err != nil {
			return nil //nolint:nilerr // the client has hung up
		}
	}
}

func (n *names) answer(m *dnsmessage.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	sets, known := n.answers[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
		return
	}
	for address := range strings.FieldsSeq(sets[0]) {
		a := netip.MustParseAddr(address)
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if len(m.Answers) > 0 && len(sets) > 1 {
		n.answers[name] = sets[1:]
	}
}
