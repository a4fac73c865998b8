// Package plugintest has what the plugin talks to, for its tests: an API server that knows pods and port-forwards, and a private API behind them.
package plugintest

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Namespace is the operator's, where the pods are.
const Namespace = "tiktok-operator-system"

// Token is what the kubeconfig shows.
const Token = "token-of-a-person"

// Cluster is a cluster with the operator.
type Cluster struct {
	t       *testing.T
	server  *httptest.Server
	private *httptest.Server

	mu sync.Mutex
	// pods that are ready.
	pods []corev1.Pod
	// tunnels that are open, by the pods that they lead to.
	tunnels map[httpstream.Connection]string
	// forwards are the pods of all port-forwards so far.
	forwards []string
	// forbidden are verbs and resources, such as "list pods".
	forbidden map[string]bool
}

// New starts a cluster whose private API is a handler. It ends with the test.
func New(t *testing.T, private http.Handler) *Cluster {
	t.Helper()
	c := &Cluster{t: t, tunnels: map[httpstream.Connection]string{}, forbidden: map[string]bool{}}
	c.private = httptest.NewTLSServer(private)
	t.Cleanup(c.private.Close)
	t.Cleanup(c.private.CloseClientConnections)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/"+Namespace+"/pods", c.list)
	mux.HandleFunc("POST /api/v1/namespaces/"+Namespace+"/pods/{name}/portforward", c.forward)
	c.server = httptest.NewTLSServer(mux) // clients show no token to another
	t.Cleanup(c.server.Close)
	t.Cleanup(func() { c.Run() })
	c.Run("webhook-1")
	return c
}

// Args are the flags with which the plugin finds the cluster.
func (c *Cluster) Args() []string {
	return []string{"--kubeconfig=" + os.DevNull, "--server=" + c.server.URL, "--insecure-skip-tls-verify", "--token=" + Token, "--namespace=default"}
}

// Gateway is the way to the private API that these flags choose beside those of Args.
func (c *Cluster) Gateway(flags ...string) *gateway.Gateway {
	c.t.Helper()
	chosen, cmd := target.New(), &cobra.Command{}
	chosen.AddFlags(cmd.Flags())
	g := gateway.New(chosen)
	g.AddFlags(cmd)
	if err := cmd.ParseFlags(append(c.Args(), flags...)); err != nil {
		c.t.Fatal(err)
	}
	return g
}

// Address is the private API's, and CAFile a file with its certificate.
func (c *Cluster) Address() string { return c.private.URL }

// CAFile writes the private API's certificate to a file.
func (c *Cluster) CAFile() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.private.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// Run has these pods of the webhook deployment run, and ends the others, with the tunnels to them.
func (c *Cluster) Run(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pods = nil
	running := map[string]bool{}
	for _, name := range names {
		running[name] = true
		c.pods = append(c.pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: map[string]string{
				// As the chart has it with a nameOverride.
				"app.kubernetes.io/name": "messaging", "app.kubernetes.io/part-of": "tiktok-operator", "app.kubernetes.io/component": "webhook",
			}},
			Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "webhook", Ports: []corev1.ContainerPort{{Name: "private", ContainerPort: 8443}}}}},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		})
	}
	for conn, pod := range c.tunnels {
		if !running[pod] {
			_ = conn.Close()
			delete(c.tunnels, conn)
		}
	}
}

// Forbid has the API server refuse a verb on a resource, such as "list pods".
func (c *Cluster) Forbid(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbidden[what] = true
}

// Forwards are the pods to which port-forwards were opened, in their order.
func (c *Cluster) Forwards() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.forwards...)
}

// refuses answers for what is forbidden.
func (c *Cluster) refuses(w http.ResponseWriter, what, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.forbidden[what] {
		return false
	}
	status := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, name, errors.New("cannot "+what)).Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(status)
	return true
}

func (c *Cluster) list(w http.ResponseWriter, r *http.Request) {
	if c.refuses(w, "list pods", "") {
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	c.mu.Lock()
	for _, pod := range c.pods {
		if selector.Matches(labels.Set(pod.Labels)) {
			list.Items = append(list.Items, pod)
		}
	}
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

// forward does what the API server and a kubelet do for a port-forward, whatever the port.
func (c *Cluster) forward(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if c.refuses(w, "create pods/portforward", name) {
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream, 16)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return // it has answered
	}
	defer func() { _ = conn.Close() }()
	c.mu.Lock()
	c.forwards = append(c.forwards, name)
	c.tunnels[conn] = name
	c.mu.Unlock()
	problems := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				problems[id] = s
				continue
			}
			go c.pipe(s, problems[id])
		}
	}
}

// pipe copies between a stream and the private API until both have said all.
func (c *Cluster) pipe(data, problems httpstream.Stream) {
	defer problems.Close()
	defer data.Close()
	conn, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", c.private.Listener.Addr().String())
	if err != nil {
		return
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]io.ReadWriter{{conn, data}, {data, conn}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
