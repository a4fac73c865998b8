package process_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

func TestValidateAddresses(t *testing.T) {
	at := func(values ...string) []process.Address {
		var addresses []process.Address
		for i, v := range values {
			addresses = append(addresses, process.Address{Flag: fmt.Sprintf("--flag-%d", i), Value: v, Optional: i > 0})
		}
		return addresses
	}
	for _, good := range [][]string{
		{":8080"}, {"127.0.0.1:0", "127.0.0.1:0"}, {"[::1]:80", "localhost:443"}, {":1", "0"}, {":1", ""}, {"127.0.0.1:80", "127.0.0.2:80"},
	} {
		if err := process.ValidateAddresses(at(good...)...); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []struct {
		values []string
		says   string
	}{
		{[]string{"8080"}, `--flag-0="8080" is not an address`},
		{[]string{"0"}, `--flag-0="0" is not an address`},
		{[]string{""}, `--flag-0="" is not an address`},
		{[]string{":1", ":http"}, `--flag-1=":http" is not an address`},
		{[]string{":1", ":65536"}, "or 0 for none"},
		{[]string{":1", "127.0.0.1:1"}, "--flag-0 and --flag-1 both ask for port 1"},
		{[]string{"127.0.0.1:2", ":1", "127.0.0.1:2"}, "--flag-0 and --flag-2 both ask for port 2"},
	} {
		err := process.ValidateAddresses(at(bad.values...)...)
		var invalid *process.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%q: error %v, want an InvalidError that says %q", bad.values, err, bad.says)
		}
	}
}

// listen is on a port that is nobody else's afterwards: the system gives away one of its own as soon as it is free.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ports, err := program.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCheckAddresses(t *testing.T) {
	l := listen(t)
	address := process.Address{Flag: "--some-flag", Value: l.Addr().String()}
	err := process.CheckAddresses(t.Context(), address)
	if err == nil || !strings.Contains(err.Error(), "--some-flag: "+address.Value+" is in use") {
		t.Errorf("error %v, want one that names the flag and the port", err)
	}
	if errors.As(err, new(*process.InvalidError)) {
		t.Error("another process is not a mistake in the flags")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it must leave the port free
		if err := process.CheckAddresses(t.Context(), address, process.Address{Flag: "--off", Value: "0", Optional: true}); err != nil {
			t.Errorf("on a free port: %v", err)
		}
	}
}
