// Package target says which cluster and namespace a command of the plugin is about, and what its failures mean.
package target

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Target is what kubectl's own flags choose.
type Target struct {
	flags *genericclioptions.ConfigFlags
}

// New returns a target with kubectl's defaults.
func New() *Target {
	return &Target{flags: genericclioptions.NewConfigFlags(true)}
}

// AddFlags adds kubectl's flags: kubeconfig, context, namespace and the like.
func (t *Target) AddFlags(fs *pflag.FlagSet) {
	t.flags.AddFlags(fs)
}

// Config returns how the cluster is reached.
func (t *Target) Config() (*rest.Config, error) {
	config, err := t.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}

// Key is the name of a channel, in the chosen namespace.
func (t *Target) Key(name string) (client.ObjectKey, error) {
	namespace, _, err := t.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return client.ObjectKey{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return client.ObjectKey{Namespace: namespace, Name: name}, nil
}

// Token requests a token of a ServiceAccount of the chosen namespace, for an audience. It lives for ten minutes.
func (t *Target) Token(ctx context.Context, account, audience string) (string, error) {
	c, namespace, err := t.Client()
	if err != nil {
		return "", err
	}
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds}}
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := c.SubResource("token").Create(ctx, object, request); err != nil {
		return "", fmt.Errorf("requesting a token of the ServiceAccount %s/%s: %w", namespace, account, err)
	}
	return request.Status.Token, nil
}

// Client returns a client of the cluster and the chosen namespace.
func (t *Target) Client() (client.Client, string, error) {
	namespace, _, err := t.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := t.Config()
	if err != nil {
		return nil, "", err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, authenticationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, "", fmt.Errorf("registering types: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the cluster: %w", err)
	}
	return c, namespace, nil
}

// FailedError is a command that was understood and failed; every other error is one of usage.
type FailedError struct{ err error }

// Error implements error.
func (e *FailedError) Error() string { return e.err.Error() }

// Unwrap implements errors.
func (e *FailedError) Unwrap() error { return e.err }

// Failed marks an error as a failure of what was asked. Nil stays nil.
func Failed(err error) error {
	if err == nil {
		return nil
	}
	return &FailedError{err: err}
}
