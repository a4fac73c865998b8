package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	// requestTimeout bounds a request to the API server. Watches last as long as the server wants.
	requestTimeout = time.Minute
	// checkTimeout bounds the look at the cluster at start.
	checkTimeout = 10 * time.Second
)

// RESTConfig finds the cluster.
func (f *Flags) RESTConfig() (*rest.Config, error) {
	if f.Kubeconfig != "" {
		file, err := os.Open(f.Kubeconfig)
		if err != nil {
			return nil, Invalid("--kubeconfig: %w", err)
		}
		_ = file.Close()
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if errors.Is(err, clientcmd.ErrEmptyConfig) || (err != nil && clientcmd.IsEmptyConfig(err)) {
		return nil, Invalid("no cluster: set --kubeconfig or $KUBECONFIG to a file that names one, or run in a pod")
	}
	if err != nil {
		return nil, Invalid("reading the file of --kubeconfig or $KUBECONFIG: %w", err)
	}
	cfg.QPS, cfg.Burst = float32(f.KubeAPIQPS), f.KubeAPIBurst
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return &bounded{next: next, limit: requestTimeout} })
	return cfg, nil
}

// CheckCluster tells whether the API server answers and has the CRDs, so that what is missing is said in a sentence.
func CheckCluster(ctx context.Context, cfg *rest.Config) error {
	short := rest.CopyConfig(cfg)
	short.NegotiatedSerializer, short.Timeout = clientgoscheme.Codecs.WithoutConversion(), checkTimeout
	api, err := rest.UnversionedRESTClientFor(short)
	if err != nil {
		return Invalid("setting up the Kubernetes client of --kubeconfig or $KUBECONFIG: %w", err)
	}
	var kinds metav1.APIResourceList
	err = api.Get().AbsPath("/apis/" + v1alpha1.GroupVersion.String()).Do(ctx).Into(&kinds)
	switch {
	case apierrors.IsNotFound(err) || (err == nil && !complete(&kinds)):
		return fmt.Errorf("the CRDs of tiktok-operator are not installed in the cluster at %s: "+
			"install them (kubectl apply --server-side -k config/crd), then start again", cfg.Host)
	case apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err):
		return fmt.Errorf("the API server at %s refuses the credentials of this process (check --kubeconfig): %w", cfg.Host, err)
	case err != nil:
		return fmt.Errorf("the API server at %s does not answer (check --kubeconfig): %w", cfg.Host, err)
	}
	return nil
}

func complete(kinds *metav1.APIResourceList) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(kinds.APIResources, func(r metav1.APIResource) bool { return r.Name == name })
	}
	return has("tiktokapps") && has("tiktokchannels")
}

// bounded gives every request a time limit, but for watches. rest.Config.Timeout would end those too, again and again, and a watch that never
// lives to see a bookmark must list everything anew once its last version is compacted.
type bounded struct {
	next  http.RoundTripper
	limit time.Duration
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		return b.next.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.limit)
	resp, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// WrappedRoundTripper lets client-go look through.
func (b *bounded) WrappedRoundTripper() http.RoundTripper { return b.next }

type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
