package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
)

// uncached are the kinds that must not be watched.
func uncached() []client.Object {
	return []client.Object{&corev1.Secret{}, &corev1.Service{}, &corev1.Namespace{}}
}

// listener is a server that runs with the manager, once the caches have synced.
type listener struct {
	name, address string
	server        *http.Server
	tls           *tls.Config
	// connections bounds those at once; 0 means nothing does.
	connections int
	synced      func(context.Context) bool
	ready       func(address string)
	up          atomic.Bool
}

// check is a readiness check: the address accepts connections.
func (l *listener) check(*http.Request) error {
	if !l.up.Load() {
		return fmt.Errorf("the %s address does not listen", l.name)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica listens.
func (*listener) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (l *listener) Start(ctx context.Context) error {
	if !l.synced(ctx) {
		return nil // the process ends
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listening on the %s address: %w", l.name, err)
	}
	if l.connections > 0 {
		socket = ingest.Bounded(socket, l.connections)
	}
	if l.tls != nil {
		socket = tls.NewListener(socket, l.tls)
	}
	l.ready(socket.Addr().String())
	l.up.Store(true)
	defer l.up.Store(false)
	failed := make(chan error, 1)
	go func() { failed <- l.server.Serve(socket) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving the %s address: %w", l.name, err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting the %s address down: %w", l.name, err)
	}
	return nil
}

func (s *servers) listen(name, address string, server *http.Server, config *tls.Config, connections int) error {
	l := &listener{
		name: name, address: address, server: server, tls: config, connections: connections, synced: s.mgr.GetCache().WaitForCacheSync,
		ready: func(address string) { s.log.Info("Listening", "listener", name, "address", address) },
	}
	return errors.Join(s.mgr.Add(l), s.mgr.AddReadyzCheck(name+"-address", l.check))
}

// tlsConfig is that of the private address: from files, which are read again when they change, or self-signed.
func (s *servers) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.options.certFile == "" {
		certificate, err := selfSigned()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
		return config, nil
	}
	watcher, err := certwatcher.New(s.options.certFile, s.options.keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the private address: %w", err)
	}
	config.GetCertificate = watcher.GetCertificate
	return config, s.mgr.Add(watcher)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serial, serialErr := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err := errors.Join(err, serialErr); err != nil {
		return tls.Certificate{}, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "tiktok-operator webhook"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "tiktok-operator-webhook"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
