// Package bundle gathers what somebody who helps needs to see: objects, Events, and logs of the operator. It reads no Secret, and leaves out links
// that authorize.
package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// maxLog is how much of a container's log is taken, in bytes.
const maxLog = int64(5 << 20)

type options struct {
	file, operatorNamespace string
	all                     bool
}

// Command is kubectl tiktok support-bundle.
func Command(t *target.Target, version string, now clock.PassiveClock) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Gather apps, channels, Events and the operator's logs in a file for somebody who helps",
		Long: "Gather apps, channels, Events and the operator's logs in a file for somebody who helps. No Secret is read, and links that authorize are " +
			"left out; names of businesses are in it. What you may not read is missing, and errors.txt says so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return target.Failed(write(cmd, t, version, now, o))
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "tiktok-operator-support.tar.gz", "File to write; - for standard output")
	cmd.Flags().StringVar(&o.operatorNamespace, "operator-namespace", "tiktok-operator-system", "Namespace of the operator")
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "Channels of every namespace")
	return cmd
}

func write(cmd *cobra.Command, t *target.Target, version string, now clock.PassiveClock, o options) (err error) {
	c, namespace, err := t.Client()
	if err != nil {
		return err
	}
	config, err := t.Config()
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	if o.all {
		namespace = ""
	}
	out := cmd.OutOrStdout()
	if o.file != "-" {
		file, err := os.OpenFile(o.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("making the file: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	zipped := gzip.NewWriter(out)
	b := &bundle{tar: tar.NewWriter(zipped), client: c, clients: clients, at: now.Now()}
	b.add("version.txt", []byte("kubectl-tiktok "+version+"\n"))
	b.gather(cmd.Context(), namespace, o.operatorNamespace)
	if b.failed != nil {
		b.add("errors.txt", []byte(b.failed.Error()+"\n"))
	}
	if err := errors.Join(b.broken, b.tar.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	if o.file != "-" {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", o.file)
	}
	return err
}

// bundle is the archive while it is written. What cannot be read is noted in failed; what cannot be written, in broken.
type bundle struct {
	tar            *tar.Writer
	client         client.Client
	clients        kubernetes.Interface
	at             time.Time
	failed, broken error
}

func (b *bundle) add(name string, text []byte) {
	header := &tar.Header{Name: path.Join("tiktok-operator-support", name), Mode: 0o600, Size: int64(len(text)), ModTime: b.at}
	if err := b.tar.WriteHeader(header); err != nil {
		b.broken = errors.Join(b.broken, err)
		return
	}
	_, err := b.tar.Write(text)
	b.broken = errors.Join(b.broken, err)
}

func (b *bundle) gather(ctx context.Context, namespace, operator string) {
	var apps v1alpha1.TiktokAppList
	b.list(ctx, "tiktokapps.yaml", &apps, "", func() {
		for i := range apps.Items {
			strip(&apps.Items[i])
		}
	})
	var channels v1alpha1.TiktokChannelList
	b.list(ctx, "tiktokchannels.yaml", &channels, namespace, func() {
		for i := range channels.Items {
			strip(&channels.Items[i])
			channels.Items[i].Status.AuthorizationURL = "" // who has it may authorize
		}
	})
	b.list(ctx, "events.yaml", &corev1.EventList{}, namespace, nil)
	b.list(ctx, "operator-events.yaml", &corev1.EventList{}, operator, nil)
	var deployments appsv1.DeploymentList
	b.list(ctx, "deployments.yaml", &deployments, operator, func() {
		for i := range deployments.Items {
			strip(&deployments.Items[i])
			silence(&deployments.Items[i].Spec.Template.Spec)
		}
	})
	var pods corev1.PodList
	b.list(ctx, "pods.yaml", &pods, operator, func() {
		for i := range pods.Items {
			strip(&pods.Items[i])
			silence(&pods.Items[i].Spec)
		}
	})
	for i := range pods.Items {
		for _, container := range pods.Items[i].Spec.Containers {
			b.log(ctx, &pods.Items[i], container.Name, false)
			b.log(ctx, &pods.Items[i], container.Name, true)
		}
	}
}

// strip takes away what helps nobody, and what may hold anything.
func strip(object client.Object) {
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	object.SetAnnotations(annotations)
}

// silence takes away the values of environment variables: a URL with a password is one.
func silence(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Env {
				containers[i].Env[j].Value = ""
			}
		}
	}
}

// userinfo is the user and password of a URL.
var userinfo = regexp.MustCompile(`://[^/@\s"]+@`)

func (b *bundle) list(ctx context.Context, name string, list client.ObjectList, namespace string, redact func()) {
	options := []client.ListOption{client.InNamespace(namespace)}
	if name == "pods.yaml" || name == "deployments.yaml" {
		options = append(options, client.MatchingLabels{"app.kubernetes.io/name": "tiktok-operator"})
	}
	if err := b.client.List(ctx, list, options...); err != nil {
		b.failed = errors.Join(b.failed, fmt.Errorf("%s: %w", name, err))
		return
	}
	if redact != nil {
		redact()
	}
	text, err := yaml.Marshal(list)
	if err != nil {
		b.failed = errors.Join(b.failed, fmt.Errorf("%s: %w", name, err))
		return
	}
	b.add(name, userinfo.ReplaceAll(text, []byte("://…@")))
}

func (b *bundle) log(ctx context.Context, pod *corev1.Pod, container string, previous bool) {
	limit := maxLog
	options := &corev1.PodLogOptions{Container: container, Previous: previous, LimitBytes: &limit, Timestamps: true}
	stream, err := b.clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		if !previous { // most containers have not been restarted
			b.failed = errors.Join(b.failed, fmt.Errorf("log of %s: %w", pod.Name, err))
		}
		return
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, maxLog))
	if err != nil {
		b.failed = errors.Join(b.failed, fmt.Errorf("log of %s: %w", pod.Name, err))
	}
	name := container + ".log"
	if previous {
		name = container + "-previous.log"
	}
	b.add(path.Join("logs", pod.Name, name), text)
}
