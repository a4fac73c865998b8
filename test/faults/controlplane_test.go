package faults

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const clusterToken = "faults" // of a user who may do everything on this loopback cluster

// controlPlane is etcd and kube-apiserver. envtest's own hides the process: here the API server can be killed, stopped and started again on
// the same port and data.
type controlPlane struct {
	address string // of the API server
	dir     string
	args    []string
	etcd    *program.Process
	server  *program.Process
}

func startControlPlane(ctx context.Context, dir string) (*controlPlane, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := program.Ports(3)
	if err != nil {
		return nil, err
	}
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	c := &controlPlane{address: fmt.Sprintf("127.0.0.1:%d", ports[2]), dir: dir}
	c.etcd, err = program.Start(filepath.Join(assets, "etcd"), filepath.Join(dir, "etcd.log"),
		"--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", ports[1]), "--unsafe-no-fsync",
	)
	if err != nil {
		return nil, err
	}
	key, tokens := filepath.Join(dir, "service-account.key"), filepath.Join(dir, "tokens.csv")
	if err := errors.Join(writeKey(key), os.WriteFile(tokens, []byte(clusterToken+",faults,faults,system:masters\n"), 0o600)); err != nil {
		return nil, errors.Join(err, c.etcd.Stop(time.Second))
	}
	c.args = []string{
		"--etcd-servers=" + etcdURL, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[2]), "--cert-dir=" + dir,
		"--token-auth-file=" + tokens, "--authorization-mode=AlwaysAllow", "--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://127.0.0.1", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
		"--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false",
	}
	if err := c.startServer(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// startServer starts the API server, again on the same port, and waits until it is ready.
func (c *controlPlane) startServer(ctx context.Context) (err error) {
	log := filepath.Join(c.dir, "kube-apiserver.log")
	if c.server, err = program.Start(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-apiserver"), log, c.args...); err != nil {
		return err
	}
	web := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	return program.Wait(ctx, 2*time.Minute, "kube-apiserver to be ready", func() (bool, error) {
		select {
		case <-c.server.Done():
			text, _ := os.ReadFile(log)
			return false, fmt.Errorf("it ended: %s", tail(string(text), 2000))
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.address+"/readyz", nil)
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+clusterToken)
		resp, err := web.Do(req)
		if err != nil {
			return false, nil // not yet
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

func (c *controlPlane) stop() {
	if c.server != nil {
		c.server.Kill()
	}
	c.etcd.Kill()
}

func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return os.WriteFile(path, text, 0o600)
}

// tail is the end of a text.
func tail(text string, n int) string { return text[max(0, len(text)-n):] }
