package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// presented is the serial number of the private address's certificate, which must be valid for a name.
func presented(t *testing.T, address, name string) (int64, error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	leaf := conn.ConnectionState().PeerCertificates[0]
	if now := time.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		t.Errorf("the certificate is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	return leaf.SerialNumber.Int64(), leaf.VerifyHostname(name)
}

func writePair(certFile, keyFile string, serial int64) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"given.example"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
}

func TestCertificate(t *testing.T) {
	t.Run("made by the process", func(t *testing.T) {
		w := startWebhook(t)
		w.Ready(w.probes)
		if _, err := presented(t, w.private, "localhost"); err != nil {
			t.Error(err)
		}
		w.Ends()
	})
	t.Run("given, and renewed", func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		if err := writePair(certFile, keyFile, 1); err != nil {
			t.Fatal(err)
		}
		w := startWebhook(t, "--private-tls-cert-file="+certFile, "--private-tls-key-file="+keyFile)
		w.Ready(w.probes)
		if serial, err := presented(t, w.private, "given.example"); err != nil || serial != 1 {
			t.Errorf("serial number %d, error %v", serial, err)
		}
		if err := writePair(certFile, keyFile, 2); err != nil {
			t.Fatal(err)
		}
		w.Eventually("the renewed certificate", func() string {
			serial, err := presented(t, w.private, "given.example")
			if err == nil && serial == 2 {
				return ""
			}
			return fmt.Sprintf("serial number %d, error %v", serial, err)
		})
		w.Ends()
	})
}
