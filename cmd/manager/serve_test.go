package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

// served is one process and where it listens.
type served struct {
	*processtest.Running
	metrics, probes string
}

func startManager(t *testing.T, flags ...string) *served {
	t.Helper()
	at := processtest.Addresses(t, 2)
	args := append([]string{
		"--kubeconfig=" + suite.Kubeconfig(), "--metrics-bind-address=" + at[0], "--health-probe-bind-address=" + at[1], "--journal-dir=" + t.TempDir(),
	}, flags...)
	return &served{Running: suite.Start(t, args...), metrics: at[0], probes: at[1]}
}

// scope makes namespaces named after the test.
func scope(t *testing.T, names ...string) []string {
	t.Helper()
	for i := range names {
		names[i] = strings.ToLower(t.Name()) + "-" + names[i]
		create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names[i]}})
	}
	return names
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := suite.Client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func newChannel(t *testing.T, namespace string) *v1alpha1.TiktokChannel {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "missing"}},
	}
	create(t, ch)
	return ch
}

// The manager serves the namespaces that it is told, and works in its own: here the pod's.
func TestNamespaces(t *testing.T) {
	ns := scope(t, "own", "first", "second", "other")
	t.Setenv("POD_NAMESPACE", ns[0])
	other, first := newChannel(t, ns[3]), newChannel(t, ns[1])
	m := startManager(t, "--watch-namespaces="+ns[1]+", "+ns[2])
	m.Ready(m.probes)
	second := newChannel(t, ns[2])
	for _, ch := range []*v1alpha1.TiktokChannel{first, second} {
		m.Eventually("a channel in a watched namespace to be served", func() string {
			if err := suite.Client.Get(t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil {
				return err.Error()
			}
			if len(ch.Status.Conditions) > 0 {
				return ""
			}
			return ch.Namespace + " has no conditions"
		})
	}
	if err := suite.Client.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil {
		t.Fatal(err)
	}
	if len(other.Status.Conditions) > 0 || len(other.Finalizers) > 0 {
		t.Errorf("a channel in a namespace that is not watched was touched: %+v", other.Status)
	}
	var lease coordinationv1.Lease
	if err := suite.Client.Get(t.Context(), client.ObjectKey{Namespace: ns[0], Name: "manager.tiktok-operator.io"}, &lease); err != nil {
		t.Errorf("the lease is not in the pod's namespace: %v", err)
	}
	var scrape string
	m.Eventually("the manager's cache to have what it wrote", func() string {
		_, scrape = processtest.Get(t, "http://"+m.metrics+"/metrics")
		if strings.Contains(scrape, "tiktok_operator_channel_condition{") {
			return ""
		}
		return scrape
	})
	names := processtest.Documented(t, scrape)
	for _, name := range []string{"token_refreshes_total", "channel_condition", "channel_suspended", "channel_refresh_failures"} {
		if !slices.Contains(names, "tiktok_operator_"+name) {
			t.Errorf("the metric %s is missing among %v", name, names)
		}
	}
	if strings.Contains(scrape, ns[3]) {
		t.Error("the metrics tell of a channel in a namespace that is not watched")
	}
	processtest.RefusesLargeHeaders(t, "http://"+m.metrics+"/metrics", 2<<20)
	processtest.RefusesLargeHeaders(t, "http://"+m.probes+"/healthz", 2<<20)
	m.Ends()
	if err := suite.Client.Get(t.Context(), client.ObjectKeyFromObject(&lease), &lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("the lease is still held by %s: another manager would wait for it to end", *lease.Spec.HolderIdentity)
	}
}

func TestReadyOnceTheCachesAreSynced(t *testing.T) {
	ns := scope(t, "own")
	kubeconfig, open := suite.Gated(t, "tiktokchannels")
	m := startManager(t, "--kubeconfig="+kubeconfig, "--namespace="+ns[0])
	m.Eventually("the probes to answer that the caches are not synced", func() string {
		status, body := processtest.Get(t, "http://"+m.probes+"/readyz")
		if status == http.StatusInternalServerError && strings.Contains(body, "[-]cache failed") {
			return ""
		}
		return fmt.Sprintf("%d %s", status, body)
	})
	if status, body := processtest.Get(t, "http://"+m.probes+"/healthz"); status != http.StatusOK {
		t.Errorf("a process that waits for its caches is not alive: %d %s", status, body)
	}
	open()
	m.Ready(m.probes)
	m.Ends()
}

// A manager that is told to end before it was up ends well, too.
func TestSIGTERMWhileTheCachesSync(t *testing.T) {
	ns := scope(t, "own")
	kubeconfig, _ := suite.Gated(t, "tiktokchannels")
	m := startManager(t, "--kubeconfig="+kubeconfig, "--namespace="+ns[0])
	m.Eventually("the probes to answer", func() string {
		status, body := processtest.Get(t, "http://"+m.probes+"/healthz")
		if status == http.StatusOK {
			return ""
		}
		return body
	})
	m.Ends()
}
