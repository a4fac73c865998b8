package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Address is where a flag tells the process to listen.
type Address struct {
	// Flag is its name, with dashes.
	Flag string
	// Value is host:port. "" and "0" mean that nothing listens, where Optional.
	Value    string
	Optional bool
}

func (a Address) off() bool { return a.Optional && (a.Value == "" || a.Value == "0") }

func (a Address) parts() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(a.Value)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		off := ""
		if a.Optional {
			off = ", or 0 for none"
		}
		return "", 0, Invalid("%s=%q is not an address: give it as :8080 or 127.0.0.1:8080%s", a.Flag, a.Value, off)
	}
	return host, port, nil
}

// ValidateAddresses refuses what is not an address, and two flags that want the same port. Its errors are *InvalidError.
func ValidateAddresses(addresses ...Address) error {
	type place struct {
		flag, host string
	}
	taken := map[int][]place{}
	for _, a := range addresses {
		if a.off() {
			continue
		}
		host, port, err := a.parts()
		if err != nil {
			return err
		}
		for _, other := range taken[port] {
			if port != 0 && (host == other.host || wildcard(host) || wildcard(other.host)) {
				return Invalid("%s and %s both ask for port %d: give each a port of its own", other.flag, a.Flag, port)
			}
		}
		taken[port] = append(taken[port], place{flag: a.Flag, host: host})
	}
	return nil
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// CheckAddresses tells before anything is started whether this process can listen where it was told to. The places are free again when it
// returns.
func CheckAddresses(ctx context.Context, addresses ...Address) error {
	for _, a := range addresses {
		if a.off() {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Value)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("%s: %s is in use by another process: stop that one, or choose another address", a.Flag, a.Value)
		case err != nil:
			return fmt.Errorf("%s: %w", a.Flag, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("%s: %w", a.Flag, err)
		}
	}
	return nil
}
