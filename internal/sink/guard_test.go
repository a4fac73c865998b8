package sink_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

func TestGuard(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:80", "127.255.255.254:80", "0.0.0.0:80", "0.1.2.3:80", "10.0.0.1:443", "10.255.255.255:443", "100.64.0.1:443",
		"100.127.255.255:443", "169.254.169.254:80", "172.16.0.1:80", "172.31.255.255:80", "192.0.0.1:80", "192.0.2.1:80", "192.168.1.1:80",
		"198.18.0.1:80", "198.19.255.255:80", "198.51.100.7:80", "203.0.113.9:80", "224.0.0.1:80", "239.255.255.255:80", "240.0.0.1:80",
		"255.255.255.255:80", "[::1]:80", "[::]:80", "[::127.0.0.1]:80", "[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80",
		"[::ffff:169.254.169.254]:80", "[::ffff:0:10.0.0.1]:80", "[64:ff9b::a9fe:a9fe]:80", "[64:ff9b::7f00:1]:80", "[64:ff9b:1::1]:80",
		"[2002:7f00:1::]:80", "[2002:c0a8:101::1]:80", "[2001::1]:80", "[2001:db8::1]:80", "[100::1]:80", "[fc00::1]:80", "[fd12:3456::1]:80",
		"[fe80::1%eth0]:80", "[febf::1]:80", "[fec0::1]:80", "[ff02::1]:80", "[3fff::1]:80", "localhost:80", "metadata.google.internal:80", "",
	} {
		var refused *sink.AddressError
		if err := sink.Guard("tcp", address, nil); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
	}
	for _, address := range []string{
		"1.1.1.1:443", "8.8.8.8:80", "100.63.255.255:443", "100.128.0.1:443", "172.15.255.255:80", "172.32.0.1:80", "192.167.1.1:80",
		"223.255.255.255:80", "[2606:4700::1111]:443", "[::ffff:1.1.1.1]:443", "[64:ff9b::101:101]:443", "[2002:101:101::1]:80",
	} {
		if err := sink.Guard("tcp4", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := sink.Guard("udp", "1.1.1.1:53", nil); err == nil {
		t.Error("UDP was let pass")
	}
}

func TestGuardOfServices(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:80", "127.255.255.254:80", "0.0.0.0:80", "0.1.2.3:80", "169.254.169.254:80", "169.254.0.23:80", "224.0.0.1:80", "239.255.255.255:80",
		"255.255.255.255:80", "168.63.129.16:80", "100.100.100.200:80", "192.0.0.192:80", "[::1]:80", "[::]:80", "[fe80::1%eth0]:80", "[febf::1]:80",
		"[ff02::1]:80", "[fd00:ec2::254]:80", "[fd00:ec2::23]:80", "[fd20:ce::254]:80", "[fd00:c1::a9fe:a9fe]:80", "[::ffff:127.0.0.1]:80",
		"[::ffff:169.254.169.254]:80", "[::127.0.0.1]:80", "[::ffff:0:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80", "[64:ff9b::7f00:1]:80",
		"[64:ff9b:1::a9fe:a9fe]:80", "[2002:7f00:1::]:80", "[2002:a9fe:a9fe::1]:80", "[2606:4700::5efe:127.0.0.1]:80", "[fd00::200:5efe:169.254.169.254]:80",
		"localhost:80", "metadata.google.internal:80", "",
	} {
		var refused *sink.AddressError
		if err := sink.GuardService("tcp", address, nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "Service") {
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
	}
	for _, address := range []string{
		"10.0.0.1:443", "10.96.0.10:80", "100.64.0.1:443", "172.16.0.1:80", "172.31.255.255:80", "192.168.1.1:80", "198.18.0.1:80", "240.0.0.1:80",
		"192.0.2.1:80", "1.1.1.1:443", "[fc00::1]:80", "[fd12:3456::1]:80", "[fec0::1]:80", "[2001:db8::1]:80", "[2606:4700::1111]:443",
		"[::ffff:10.0.0.1]:80", "[64:ff9b::a00:1]:80", "[64:ff9b:1::a00:1]:80", "[4000::1]:80",
	} {
		if err := sink.GuardService("tcp6", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := sink.GuardService("udp", "10.0.0.1:53", nil); err == nil {
		t.Error("UDP was let pass")
	}
}

func TestGuardSeesWhatANameResolvesTo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the sink was reached") }))
	defer server.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, control := range []func(string, string, syscall.RawConn) error{sink.Guard, sink.GuardService} {
		dialer := &net.Dialer{Timeout: 5 * time.Second, Control: control}
		for _, host := range []string{"localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"} {
			conn, err := dialer.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
			if err == nil {
				_ = conn.Close()
				t.Errorf("%s was dialled", host)
			}
		}
	}
}
