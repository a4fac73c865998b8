package inbound

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// Cluster is a control plane with the project's kinds.
type Cluster struct {
	K8s        client.Client
	Kubeconfig []byte
	// Host and port of the API server, as the kubeconfig names them.
	Host string
}

// ControlPlane is a real etcd and kube-apiserver that have not started; crds is the directory of the CRDs. Services get addresses of this machine:
// nothing routes to others, and who listens there is the Service.
func ControlPlane(crds string) *envtest.Environment {
	env := &envtest.Environment{CRDDirectoryPaths: []string{crds}, ErrorIfCRDPathMissing: true}
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "127.64.0.0/16")
	return env
}

// OpenCluster starts a real etcd and kube-apiserver; crds is the directory of the CRDs. What comes back stops them, also after an error.
func OpenCluster(crds string) (Cluster, func() error, error) {
	env := ControlPlane(crds)
	config, err := env.Start()
	if err != nil {
		return Cluster{}, env.Stop, fmt.Errorf("starting the control plane (make test sets KUBEBUILDER_ASSETS): %w", err)
	}
	user, err := env.AddUser(envtest.User{Name: "inbound", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return Cluster{}, env.Stop, fmt.Errorf("making a user: %w", err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		return Cluster{}, env.Stop, fmt.Errorf("making a kubeconfig: %w", err)
	}
	config.QPS = -1 // this process prepares, and must not hold itself back
	cluster, err := NewCluster(config, text)
	return cluster, env.Stop, err
}

// NewCluster uses a control plane that runs.
func NewCluster(config *rest.Config, kubeconfig []byte) (Cluster, error) {
	k8s, err := client.New(config, client.Options{Scheme: process.Scheme()})
	if err != nil {
		return Cluster{}, fmt.Errorf("making a client: %w", err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(config.Host, "https://"), "/")
	return Cluster{K8s: k8s, Kubeconfig: kubeconfig, Host: host}, nil
}

func replaceHost(kubeconfig []byte, host, with string) (text []byte, changed bool) {
	text = bytes.ReplaceAll(kubeconfig, []byte(host), []byte(with))
	return text, !bytes.Equal(text, kubeconfig)
}

// channelCount is over how many channels the conversations are spread, and sharedChannels over how many where replicas divide them, so that each
// has some.
const channelCount, sharedChannels = 4, 12

// create makes an app and its channels, as a manager leaves them. Both sinks are those of every channel.
func (s *scene) create(ctx context.Context, f Fault) error {
	app := &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: s.name, PublicURL: "http://127.0.0.1:8080",
			SecretRef: v1alpha1.AppSecretReference{Namespace: s.operator(), Name: "app"},
		},
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.operator()}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.operator(), Name: "app"},
			StringData: map[string]string{v1alpha1.DefaultAppSecretKey: appSecret},
		},
		app,
	}
	channels := channelCount
	if f.replicas > 1 {
		channels = sharedChannels
	}
	for i := range channels {
		ch := &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: fmt.Sprintf("shop-%d", i)},
			Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: s.name}},
		}
		source := "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + ch.Namespace + "/tiktokchannels/" + ch.Name
		for _, to := range s.sinks() {
			ch.Spec.Sinks = append(ch.Spec.Sinks, v1alpha1.Sink{Name: to.name, URI: to.url(source), Delivery: delivery()})
		}
		s.channels = append(s.channels, ch)
		objects = append(objects, ch)
	}
	for _, object := range objects {
		if err := s.o.Cluster.K8s.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
	}
	return s.authorize(ctx)
}

// authorize gives each channel its business, as the manager does after an authorization.
func (s *scene) authorize(ctx context.Context) error {
	for i, ch := range s.channels {
		if err := s.hold(ctx, ch, s.business(i)); err != nil {
			return err
		}
	}
	return nil
}

// hold has a channel hold a business; "" means none.
func (s *scene) hold(ctx context.Context, ch *v1alpha1.TiktokChannel, business string) error {
	base := ch.DeepCopy()
	ch.Status.BusinessID = business
	if err := s.o.Cluster.K8s.Status().Patch(ctx, ch, client.MergeFrom(base)); err != nil {
		return fmt.Errorf("giving a channel its business: %w", err)
	}
	return nil
}

// allow sets which namespaces the app allows.
func (s *scene) allow(ctx context.Context, from v1alpha1.NamespacesFrom) error {
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
	change := fmt.Sprintf(`{"spec": {"allowedNamespaces": {"from": %q}}}`, from)
	if err := s.o.Cluster.K8s.Patch(ctx, app, client.RawPatch(types.MergePatchType, []byte(change))); err != nil {
		return fmt.Errorf("changing which namespaces the app allows: %w", err)
	}
	return nil
}

// delivery retries sooner than the default does, so that a run does not wait for back-offs.
func delivery() *v1alpha1.Delivery {
	duration := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	return &v1alpha1.Delivery{
		Timeout: duration(deliveryTimeout), Backoff: &v1alpha1.Backoff{Min: duration(100 * time.Millisecond), Max: duration(2 * time.Second)},
	}
}

func (s *scene) business(i int) string {
	return fmt.Sprintf("%s-business-%d", s.name, i%len(s.channels))
}

func (s *scene) patch(ch, base *v1alpha1.TiktokChannel) error {
	if err := s.o.Cluster.K8s.Patch(context.Background(), ch, client.MergeFrom(base)); err != nil {
		return fmt.Errorf("changing a channel: %w", err)
	}
	return nil
}
