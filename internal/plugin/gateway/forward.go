package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// openWithin bounds how long a port-forward may take to open.
const openWithin = 20 * time.Second

// tunnel is an open port-forward.
type tunnel struct {
	address string
	stop    chan struct{}
	done    chan error
}

func (t *tunnel) close() {
	close(t.stop)
	if err := <-t.done; err != nil {
		return // it was told to end
	}
}

// forward opens a tunnel to a ready pod of the webhook deployment.
func (g *Gateway) forward(ctx context.Context, config *rest.Config) (*tunnel, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	pods, err := clients.CoreV1().Pods(g.operatorNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=tiktok-operator,app.kubernetes.io/component=webhook",
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the webhook deployment in the namespace %s: %w", g.operatorNamespace, err)
	}
	pod, port := choose(pods.Items)
	if pod == "" {
		return nil, fmt.Errorf("no pod of the webhook deployment is ready in the namespace %s (--operator-namespace says where the operator is)",
			g.operatorNamespace)
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("setting up a port-forward: %w", err)
	}
	at := clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(g.operatorNamespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	t := &tunnel{stop: make(chan struct{}), done: make(chan error, 1)}
	ready := make(chan struct{})
	to := []string{fmt.Sprintf("0:%d", port)}
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, to, t.stop, ready, io.Discard, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("setting up a port-forward: %w", err)
	}
	go func() { t.done <- forwarder.ForwardPorts() }()
	opening, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	select {
	case <-ready:
	case err := <-t.done:
		return nil, fmt.Errorf("opening a port-forward to %s/%s: %w", g.operatorNamespace, pod, err)
	case <-opening.Done():
		t.close()
		return nil, fmt.Errorf("opening a port-forward to %s/%s within %s: %w", g.operatorNamespace, pod, openWithin, opening.Err())
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.close()
		return nil, fmt.Errorf("opening a port-forward to %s/%s: %w", g.operatorNamespace, pod, err)
	}
	t.address = fmt.Sprintf("https://127.0.0.1:%d", ports[0].Local)
	return t, nil
}

// choose picks a ready pod, and its private port.
func choose(pods []corev1.Pod) (name string, port int32) {
	for i := range pods {
		pod := &pods[i]
		for _, condition := range pod.Status.Conditions {
			if condition.Type != corev1.PodReady || condition.Status != corev1.ConditionTrue || pod.DeletionTimestamp != nil {
				continue
			}
			for _, container := range pod.Spec.Containers {
				for _, p := range container.Ports {
					if p.Name == "private" {
						return pod.Name, p.ContainerPort
					}
				}
			}
		}
	}
	return "", 0
}
