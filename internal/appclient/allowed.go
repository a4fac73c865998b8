package appclient

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// NamespaceAllowed says whether channels of a namespace may use the app. The namespace is read only where the app selects by labels. The
// error means that the namespace could not be read, or that the selector is not valid.
func NamespaceAllowed(ctx context.Context, r client.Reader, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
	allowed := app.Spec.AllowedNamespaces
	if allowed == nil {
		return true, nil
	}
	switch allowed.From {
	case v1alpha1.NamespacesAll, "":
		return true, nil
	case v1alpha1.NamespacesNone:
		return false, nil
	case v1alpha1.NamespacesSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Selector)
		if err != nil {
			return false, fmt.Errorf("reading spec.allowedNamespaces.selector of TiktokApp %s: %w", app.Name, err)
		}
		var ns corev1.Namespace
		if err := r.Get(ctx, types.NamespacedName{Name: namespace}, &ns); err != nil {
			return false, fmt.Errorf("reading the labels of namespace %s: %w", namespace, err)
		}
		return selector.Matches(labels.Set(ns.Labels)), nil
	default:
		// The CRD of a later version knows more choices: what it restricts must not be open to all meanwhile.
		return false, fmt.Errorf("this version does not know spec.allowedNamespaces.from %q of TiktokApp %s", allowed.From, app.Name)
	}
}
