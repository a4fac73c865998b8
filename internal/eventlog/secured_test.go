package eventlog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog/eventlogtest"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	pair := a.sign(template)
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a key and its certificate; without a certificate of its own, the authority's.
func (a *authority) sign(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		a.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// file writes the authority's certificate.
func (a *authority) file(dir, name string) string {
	return write(a.t, filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// client writes a certificate for a client, and its key.
func (a *authority) client(dir, name string) (certFile, keyFile string) {
	pair := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile = write(a.t, filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	return certFile, write(a.t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// account is one of a NATS that knows its users by signed tokens, as a creds file has them.
type account struct {
	t        *testing.T
	operator *jwt.OperatorClaims
	key      nkeys.KeyPair
	public   string
	token    string
	// The server's own account, without which it has no JetStream.
	system, systemToken string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	operatorKey, operatorID := newKey(t, nkeys.CreateOperator)
	a := &account{t: t}
	a.key, a.public = newKey(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(a.public)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	a.token = encode(t, claims, operatorKey)
	_, a.system = newKey(t, nkeys.CreateAccount)
	a.systemToken = encode(t, jwt.NewAccountClaims(a.system), operatorKey)
	operator, err := jwt.DecodeOperatorClaims(encode(t, jwt.NewOperatorClaims(operatorID), operatorKey))
	if err != nil {
		t.Fatal(err)
	}
	a.operator = operator
	return a
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

func encode(t *testing.T, claims jwt.Claims, key nkeys.KeyPair) string {
	t.Helper()
	token, err := claims.Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// creds writes the credentials of a new user of the account, and returns what of them is secret.
func (a *account) creds(path string) (secret string) {
	a.t.Helper()
	key, public := newKey(a.t, nkeys.CreateUser)
	seed, err := key.Seed()
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(encode(a.t, jwt.NewUserClaims(public), a.key), seed)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, path, text)
	return string(seed)
}

// secured is a NATS server that asks clients for a certificate and for credentials.
func secured(t *testing.T, a *authority, acc *account, opts *server.Options) *server.Server {
	t.Helper()
	pair := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "nats"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	opts.TLS, opts.TLSVerify, opts.TLSTimeout = true, true, 5
	opts.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
	resolver := &server.MemAccResolver{}
	if err := errors.Join(resolver.Store(acc.public, acc.token), resolver.Store(acc.system, acc.systemToken)); err != nil {
		t.Fatal(err)
	}
	opts.SystemAccount = acc.system
	opts.TrustedOperators, opts.AccountResolver = []*jwt.OperatorClaims{acc.operator}, resolver
	return eventlogtest.Server(t, opts)
}

// A NATS that takes only TLS, with a client's certificate and credentials: the right files open it, and each that is missing or wrong is refused
// with what was wrong, and without what is in the files.
func TestSecuredServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trusted, stranger, acc, other := newAuthority(t, "trusted"), newAuthority(t, "stranger"), newAccount(t), newAccount(t)
	ca, otherCA := trusted.file(dir, "ca.crt"), stranger.file(dir, "stranger.crt")
	cert, key := trusted.client(dir, "client")
	otherCert, otherKey := stranger.client(dir, "stranger-client")
	creds, otherCreds := filepath.Join(dir, "user.creds"), filepath.Join(dir, "other.creds")
	secrets := []string{acc.creds(creds), other.creds(otherCreds)}
	url := secured(t, trusted, acc, &server.Options{}).ClientURL()

	right := eventlog.Options{URL: url, CAFile: ca, CertFile: cert, KeyFile: key, CredsFile: creds}
	l := open(t, right)
	store(t, l, "ch", "c", 3)
	if n := len(all(t, l, "ch")); n != 3 {
		t.Errorf("%d events of 3", n)
	}
	for name, c := range map[string]struct {
		change func(*eventlog.Options)
		says   string
	}{
		"no authority":                 {func(o *eventlog.Options) { o.CAFile = "" }, "certificate signed by unknown authority"},
		"another authority":            {func(o *eventlog.Options) { o.CAFile = otherCA }, "certificate signed by unknown authority"},
		"no client certificate":        {func(o *eventlog.Options) { o.CertFile, o.KeyFile = "", "" }, "tls"},
		"a stranger's certificate":     {func(o *eventlog.Options) { o.CertFile, o.KeyFile = otherCert, otherKey }, "tls"},
		"no credentials":               {func(o *eventlog.Options) { o.CredsFile = "" }, "authorization"},
		"another account's":            {func(o *eventlog.Options) { o.CredsFile = otherCreds }, "authorization"},
		"credentials that are no file": {func(o *eventlog.Options) { o.CredsFile = ca }, "connecting to the event log"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := right
			c.change(&opts)
			l, err := eventlog.Open(t.Context(), opts)
			if err == nil {
				_ = l.Close()
				t.Fatal("it opens")
			}
			t.Log(err)
			if !strings.Contains(strings.ToLower(err.Error()), c.says) {
				t.Errorf("it says %q, without %q", err, c.says)
			}
			for _, secret := range secrets {
				if strings.Contains(err.Error(), secret) {
					t.Error("it tells the key of a user")
				}
			}
		})
	}
}

// Certificates and credentials are rotated while the process runs, and a server may refuse it for a while: neither needs a restart.
func TestCredentialsRotate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, after, acc := newAuthority(t, "before"), newAuthority(t, "after"), newAccount(t)
	creds := filepath.Join(dir, "user.creds")
	acc.creds(creds)
	cert, key := before.client(dir, "client")
	opts := eventlog.Options{CAFile: before.file(dir, "ca.crt"), CertFile: cert, KeyFile: key, CredsFile: creds}
	ports, err := program.Ports(1) // it starts again on the same one
	if err != nil {
		t.Fatal(err)
	}
	port := ports[0]
	ns := secured(t, before, acc, &server.Options{Port: port})
	opts.URL = fmt.Sprintf("tls://127.0.0.1:%d", port)
	l := open(t, opts)
	ready := func() bool { return l.Ready(t.Context()) == nil }
	restart := func(a *authority, acc *account) {
		t.Helper()
		ns.Shutdown()
		ns.WaitForShutdown()
		ns = secured(t, a, acc, &server.Options{Port: port})
	}

	restart(before, newAccount(t)) // it knows nobody
	refused := func() bool { return ns.NumClients() == 0 && refusals(ns) >= 6 }
	eventually(t, "the server to refuse often", refused)
	if ready() {
		t.Error("ready although the server refuses its credentials")
	}

	after.file(dir, "ca.crt")
	after.client(dir, "client")
	next := newAccount(t)
	next.creds(creds)
	restart(after, next)
	eventually(t, "the log to be ready again", ready)
	eventually(t, "an event to be stored", func() bool {
		_, err := l.Append(t.Context(), eventlog.Record{ID: "1", App: "app", ChannelUID: "ch", Conversation: "c", Body: []byte("{}")})
		return err == nil
	})
}

// refusals counts the clients that a server has turned away.
func refusals(ns *server.Server) int64 {
	closed, err := ns.Connz(&server.ConnzOptions{State: server.ConnClosed})
	if err != nil {
		return 0
	}
	return int64(closed.Total)
}
