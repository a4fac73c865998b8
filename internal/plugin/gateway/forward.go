package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// openWithin bounds how long a port-forward may take to open.
const openWithin = 20 * time.Second

// maxRefusal bounds what is read of a refusal, in bytes.
const maxRefusal = 64 << 10

// Pods chooses the pods of the webhook deployment in the operator's namespace. Neither the chart's nameOverride nor a prefix of kustomize changes
// these labels.
const Pods = PartOf + ",app.kubernetes.io/component=webhook"

// PartOf chooses everything of the operator in its namespace.
const PartOf = "app.kubernetes.io/part-of=tiktok-operator"

// tunnel is an open port-forward.
type tunnel struct {
	address string
	stop    context.CancelFunc
	done    chan error
}

func (t *tunnel) close() {
	t.stop()
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
	namespace := g.Namespace()
	pods, err := clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: Pods})
	if err != nil {
		return nil, fmt.Errorf("looking for the webhook deployment in the namespace %s: %w", namespace, err)
	}
	pod, port := choose(pods.Items)
	if pod == "" {
		return nil, fmt.Errorf("no pod of the webhook deployment is ready in the namespace %s (--operator-namespace says where the operator is)",
			namespace)
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("setting up a port-forward: %w", err)
	}
	at := clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	refused := &refusal{next: transport}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: refused}, http.MethodPost, at)
	// A connection that breaks is for the caller to see, not for a log beside what it prints.
	open, stop := context.WithCancel(logr.NewContext(context.WithoutCancel(ctx), logr.Discard()))
	t := &tunnel{stop: stop, done: make(chan error, 1)}
	ready := make(chan struct{})
	to := []string{fmt.Sprintf("0:%d", port)}
	forwarder, err := portforward.NewOnAddressesWithContext(open, dialer, []string{"127.0.0.1"}, to, ready, io.Discard, io.Discard)
	if err != nil {
		stop()
		return nil, fmt.Errorf("setting up a port-forward: %w", err)
	}
	go func() { t.done <- forwarder.ForwardPorts() }()
	opening, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	select {
	case <-ready:
	case err := <-t.done:
		stop()
		if refused.err != nil {
			err = refused.err
		}
		return nil, fmt.Errorf("opening a port-forward to %s/%s: %w", namespace, pod, err)
	case <-opening.Done():
		t.close()
		return nil, fmt.Errorf("opening a port-forward to %s/%s within %s: %w", namespace, pod, openWithin, opening.Err())
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.close()
		return nil, fmt.Errorf("opening a port-forward to %s/%s: %w", namespace, pod, err)
	}
	t.address = fmt.Sprintf("https://127.0.0.1:%d", ports[0].Local)
	return t, nil
}

// refusal keeps what the API server refuses an upgrade with, of which the port-forward keeps the text alone.
type refusal struct {
	next http.RoundTripper
	err  error
}

// RoundTrip implements http.RoundTripper.
func (r *refusal) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	var status metav1.Status
	if err == nil && json.Unmarshal(text, &status) == nil && status.Status == metav1.StatusFailure {
		r.err = &apierrors.StatusError{ErrStatus: status}
	}
	return resp, nil
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
