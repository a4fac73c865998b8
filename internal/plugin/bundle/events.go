package bundle

import (
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// events are those about channels of a namespace, or of all, and those about apps, which Kubernetes keeps in the namespace default.
func (b *bundle) events(ctx context.Context, namespace string) {
	of := func(name, kind, namespace string) {
		about := client.MatchingFields{"involvedObject.kind": kind, "involvedObject.apiVersion": v1alpha1.GroupVersion.String()}
		b.list(ctx, name, &corev1.EventList{}, nil, client.InNamespace(namespace), about)
	}
	of("events.yaml", v1alpha1.TiktokChannelKind, namespace)
	of("app-events.yaml", v1alpha1.TiktokAppKind, corev1.NamespaceDefault)
}

// operatorEvents are those about the operator's Deployments and what came of them, pods that are gone among it, and about its leader election. The
// operator may share its namespace with others.
func (b *bundle) operatorEvents(ctx context.Context, namespace string, deployments []appsv1.Deployment) {
	var all corev1.EventList
	b.list(ctx, "operator-events.yaml", &all, func() {
		all.Items = slices.DeleteFunc(all.Items, func(e corev1.Event) bool {
			return !slices.ContainsFunc(deployments, func(d appsv1.Deployment) bool {
				return e.InvolvedObject.Name == d.Name || strings.HasPrefix(e.InvolvedObject.Name, d.Name+"-")
			}) && !strings.HasSuffix(e.InvolvedObject.Name, ".tiktok-operator.io")
		})
	}, client.InNamespace(namespace))
}
