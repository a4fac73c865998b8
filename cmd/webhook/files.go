package main

import (
	"crypto/tls"
	"errors"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// validateFiles looks at what the flags name before anything is started, so that a mistake is told with its flag.
func (o *options) validateFiles() error {
	if o.certFile != "" {
		if _, err := tls.LoadX509KeyPair(o.certFile, o.keyFile); err != nil {
			return process.Invalid("--private-tls-cert-file and --private-tls-key-file: %w", err)
		}
	}
	for flag, file := range map[string]string{"--nats-creds": o.natsCreds, "--nats-ca-file": o.natsCA} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return process.Invalid("%s: %w", flag, err)
		}
	}
	if o.natsCert != "" {
		if _, err := tls.LoadX509KeyPair(o.natsCert, o.natsKey); err != nil {
			return process.Invalid("--nats-cert-file and --nats-key-file: %w", err)
		}
	}
	for address := range strings.SplitSeq(o.natsURL, ",") {
		// The URL is not repeated: it may hold a password.
		if _, err := url.Parse(strings.TrimSpace(address)); err != nil {
			return process.Invalid("--nats-url is not a URL such as nats://nats.example:4222, or several of them separated by commas")
		}
	}
	if o.dataDir != "" {
		return checkDataDir(o.dataDir)
	}
	return nil
}

// checkDataDir makes the directory, and a file in it.
func checkDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return process.Invalid("--data-dir is not a directory that this process can use: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return nil // the event log refuses events until there is room, and delivers those that it has
	case err != nil:
		return process.Invalid("--data-dir must be writable: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return process.Invalid("--data-dir must be writable: %w", err)
	}
	return nil
}
