package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

// webhook is one process and where it listens.
type webhook struct {
	*processtest.Running
	public, private, metrics, probes string
}

// startWebhook starts a process on an event log of its own.
func startWebhook(t *testing.T, flags ...string) *webhook {
	t.Helper()
	at := processtest.Addresses(t, 4)
	args := append([]string{
		"--kubeconfig=" + suite.Kubeconfig(), "--namespace=default", "--public-bind-address=" + at[0], "--private-bind-address=" + at[1],
		"--metrics-bind-address=" + at[2], "--health-probe-bind-address=" + at[3],
	}, flags...)
	if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--nats-url=") }) {
		args = append(args, "--data-dir="+t.TempDir())
	}
	return &webhook{Running: suite.Start(t, args...), public: at[0], private: at[1], metrics: at[2], probes: at[3]}
}

func (w *webhook) readyz(t *testing.T) (int, string) {
	return processtest.Get(t, "http://"+w.probes+"/readyz?verbose=1")
}

func TestServes(t *testing.T) {
	w := startWebhook(t)
	w.Ready(w.probes)
	for _, url := range []string{"http://" + w.public + "/webhooks/x", "https://" + w.private + "/v1/x", "http://" + w.metrics + "/metrics", "http://" + w.probes + "/healthz"} {
		if status, body := processtest.Get(t, url); status == 0 {
			t.Errorf("%s: %s", url, body)
		}
		processtest.RefusesLargeHeaders(t, url, 2<<20)
	}
	processtest.RefusesLargeHeaders(t, "http://"+w.public+"/webhooks/x", 64<<10)
	processtest.RefusesLargeHeaders(t, "https://"+w.private+"/v1/x", 64<<10)
	if status, body := processtest.Get(t, "http://"+w.private+"/v1/x"); status != http.StatusBadRequest {
		t.Errorf("the private address answers %d %q without TLS", status, body)
	}
	_, scrape := processtest.Get(t, "http://"+w.metrics+"/metrics")
	names := processtest.Documented(t, scrape)
	for _, want := range []string{
		"tiktok_operator_authorization_requests_total", "tiktok_operator_webhook_duration_seconds",
		"tiktok_operator_event_log_bytes", "tiktok_operator_event_log_limit_bytes",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among the metrics %v", want, names)
		}
	}
	w.Ends()
}

// A visitor who sends the head of a request slowly is cut off: the connection ends without an answer to wait for.
func TestSlowHeadersAreCutOff(t *testing.T) {
	w := startWebhook(t)
	w.Ready(w.probes)
	conn, err := net.Dial("tcp", w.public)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /webhooks/x HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection is still open: %v", err)
	}
}

func TestReadyOnceTheCachesAreSynced(t *testing.T) {
	kubeconfig, open := suite.Gated(t, "tiktokchannels")
	w := startWebhook(t, "--kubeconfig="+kubeconfig)
	w.Eventually("the probes to answer that the caches are not synced", func() string {
		status, body := w.readyz(t)
		if status == http.StatusInternalServerError && strings.Contains(body, "[-]cache failed") && strings.Contains(body, "[+]event-log ok") {
			return ""
		}
		return fmt.Sprintf("%d %s", status, body)
	})
	if status, body := processtest.Get(t, "http://"+w.probes+"/healthz"); status != http.StatusOK {
		t.Errorf("a process that waits for its caches is not alive: %d %s", status, body)
	}
	open()
	w.Ready(w.probes)
	w.Ends()
}

func TestNotReadyWhileTheEventLogIsAway(t *testing.T) {
	address := processtest.Addresses(t, 1)[0]
	dir := t.TempDir()
	nats := startNATS(t, address, dir)
	w := startWebhook(t, "--nats-url=nats://"+address)
	w.Ready(w.probes)
	nats.Shutdown()
	nats.WaitForShutdown()
	w.Eventually("readiness to end", func() string {
		status, body := w.readyz(t)
		if status == http.StatusInternalServerError && strings.Contains(body, "[-]event-log failed") {
			return ""
		}
		return fmt.Sprintf("%d %s", status, body)
	})
	startNATS(t, address, dir)
	w.Ready(w.probes)
	w.Ends()
}

func startNATS(t *testing.T, address, dir string) *server.Server {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	options := &server.Options{Host: host, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
	if _, err := fmt.Sscan(port, &options.Port); err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// A webhook that is on its way when the process is told to end is stored and acknowledged; meanwhile the process is not ready.
func TestSIGTERMFinishesWhatIsUnderWay(t *testing.T) {
	app := newApp(t)
	w := startWebhook(t)
	w.Ready(w.probes)
	body := []byte(`{"client_key":"` + app.Spec.AppID + `","event":"im_receive_msg","create_time":1,"user_openid":"nobody","content":"{}"}`)
	conn, err := net.Dial("tcp", w.public)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	half := len(body) / 2
	fmt.Fprintf(conn, "POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nTiktok-Signature: %s\r\n\r\n%s",
		app.Name, len(body), sign(body), body[:half])
	// The request has arrived when the process answers a later one on the same listener.
	if status, answer := processtest.Get(t, "http://"+w.public+"/"); status == 0 {
		t.Fatal(answer)
	}
	w.Terminate()
	w.Eventually("the process to say that it shuts down", func() string {
		status, text := w.readyz(t)
		if status == http.StatusInternalServerError && strings.Contains(text, "[-]shutdown failed") {
			return ""
		}
		return fmt.Sprintf("%d %s", status, text)
	})
	if _, err := conn.Write(body[half:]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the request is not answered: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Errorf("the webhook is answered with %d %s", resp.StatusCode, text)
	}
	w.Ends()
}

func newApp(t *testing.T) *v1alpha1.TiktokApp {
	t.Helper()
	name := strings.ToLower(t.Name())
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, StringData: map[string]string{v1alpha1.DefaultAppSecretKey: appSecret},
	}
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "app-of-" + name, PublicURL: "https://tiktok.example.com", SecretRef: v1alpha1.AppSecretReference{Namespace: "default", Name: name},
		},
	}
	for _, object := range []client.Object{secret, app} {
		if err := suite.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return app
}

const appSecret = "secret"

func sign(body []byte) string {
	now := time.Now().Unix()
	mac := hmac.New(sha256.New, []byte(appSecret))
	fmt.Fprintf(mac, "%d.%s", now, body)
	return fmt.Sprintf("t=%d,s=%s", now, hex.EncodeToString(mac.Sum(nil)))
}

// A process that is told to end before it was up ends well, too.
func TestSIGTERMWhileTheCachesSync(t *testing.T) {
	kubeconfig, _ := suite.Gated(t, "tiktokchannels")
	w := startWebhook(t, "--kubeconfig="+kubeconfig)
	w.Eventually("the probes to answer", func() string {
		status, body := processtest.Get(t, "http://"+w.probes+"/healthz")
		if status == http.StatusOK {
			return ""
		}
		return body
	})
	w.Ends()
}
