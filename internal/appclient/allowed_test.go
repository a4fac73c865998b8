package appclient_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
)

func TestNamespaceAllowed(t *testing.T) {
	const yes, no, unknown = "allowed", "refused", "an error"
	selector := func(s *metav1.LabelSelector) *v1alpha1.AllowedNamespaces {
		return &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector, Selector: s}
	}
	team := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}}
	for name, tc := range map[string]struct {
		allowed   *v1alpha1.AllowedNamespaces
		namespace string
		want      string
		reads     int
	}{
		"nothing said":                  {nil, "shop", yes, 0},
		"nothing chosen":                {&v1alpha1.AllowedNamespaces{}, "shop", yes, 0},
		"all":                           {&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}, "shop", yes, 0},
		"all, deleted":                  {&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}, "deleted", yes, 0},
		"none":                          {&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNone}, "shop", no, 0},
		"none, with a selector":         {&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNone, Selector: team}, "shop", no, 0},
		"selected":                      {selector(team), "shop", yes, 1},
		"not selected":                  {selector(team), "other", no, 1},
		"without labels":                {selector(team), "bare", no, 1},
		"selected, deleted":             {selector(team), "deleted", unknown, 1},
		"selected, no namespace":        {selector(team), "", unknown, 1},
		"a selector of everything":      {selector(&metav1.LabelSelector{}), "bare", yes, 1},
		"no selector":                   {selector(nil), "shop", no, 1},
		"a selector that is none":       {selector(&metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}), "shop", unknown, 0},
		"a choice of a version to come": {&v1alpha1.AllowedNamespaces{From: "Names"}, "shop", unknown, 0},
		"an expression": {selector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "team", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"shop"}},
		}}), "shop", no, 1},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			r := interceptor.NewClient(fake.NewFakeClient(
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"team": "other"}}},
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}},
			), interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					reads++
					return c.Get(ctx, key, o, opts...)
				},
			})
			app := newApp(func(a *v1alpha1.TiktokApp) { a.Spec.AllowedNamespaces = tc.allowed })
			allowed, err := appclient.NamespaceAllowed(t.Context(), r, app, tc.namespace)
			got := map[bool]string{true: yes, false: no}[allowed]
			if err != nil {
				got = unknown
			}
			if got != tc.want || (err != nil && allowed) || reads != tc.reads {
				t.Errorf("%s (%v) after %d reads, want %s after %d", got, err, reads, tc.want, tc.reads)
			}
		})
	}
	away := errors.New("away")
	app := newApp(func(a *v1alpha1.TiktokApp) { a.Spec.AllowedNamespaces = selector(team) })
	if allowed, err := appclient.NamespaceAllowed(t.Context(), reader(func() error { return away }), app, "shop"); allowed || !errors.Is(err, away) {
		t.Errorf("without an API server: %v %v", allowed, err)
	}
}
