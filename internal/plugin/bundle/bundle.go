// Package bundle gathers what somebody who helps needs to see: objects, Events, and logs of the operator. It reads no Secret, and leaves out links
// that authorize and what may be secret in the addresses of sinks.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// maxLog is how much of a container's log is taken, in bytes: what was logged last, which is what somebody asks about.
const maxLog = 5 << 20

type options struct {
	file string
	all  bool
}

// Command is kubectl tiktok support-bundle.
func Command(t *target.Target, g *gateway.Gateway, version string, now clock.PassiveClock) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Gather apps, channels, Events and the operator's logs in a file for somebody who helps",
		Long: "Gather apps, channels, Events and the operator's logs in a file for somebody who helps. No Secret is read; links that authorize, and " +
			"of the addresses of sinks all but the host, are left out; names of businesses are in it. What you may not read is missing, " +
			"and errors.txt says so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return target.Failed(write(cmd, t, &bundle{at: now.Now(), version: version, operator: g.Namespace()}, o))
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "tiktok-operator-support.tar.gz", "File to write, which must not exist yet; - for standard output")
	g.AddNamespaceFlag(cmd, "Namespace of the operator")
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "Channels of every namespace")
	return cmd
}

// write makes the file. It is there whole or not at all, and none is overwritten.
func write(cmd *cobra.Command, t *target.Target, b *bundle, o options) (err error) {
	c, namespace, err := t.Client()
	if err != nil {
		return err
	}
	config, err := t.Config()
	if err != nil {
		return err
	}
	if b.clients, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	b.client = c
	if o.all {
		namespace = ""
	}
	if o.file == "-" {
		return b.write(cmd.Context(), cmd.OutOrStdout(), namespace)
	}
	if _, err := os.Lstat(o.file); err == nil {
		return fmt.Errorf("there is a file %s already; name another with --file", o.file)
	}
	partial, err := os.CreateTemp(filepath.Dir(o.file), "."+filepath.Base(o.file)+".*")
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer func() { _ = os.Remove(partial.Name()) }() // it is gone, if all went well
	if err := errors.Join(b.write(cmd.Context(), partial, namespace), partial.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), o.file); err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", o.file)
	return err
}

// bundle is the archive while it is written. What cannot be read is noted in failed; what cannot be written, in broken.
type bundle struct {
	tar     *tar.Writer
	client  client.Client
	clients kubernetes.Interface
	at      time.Time
	version string
	// operator is the operator's namespace.
	operator       string
	redact         redactor
	failed, broken error
}

// write gathers everything; channels are those of a namespace, or of all.
func (b *bundle) write(ctx context.Context, out io.Writer, namespace string) error {
	zipped := gzip.NewWriter(out)
	b.tar = tar.NewWriter(zipped)
	b.add("version.txt", []byte("kubectl-tiktok "+b.version+"\n"))
	b.gather(ctx, namespace)
	if ctx.Err() != nil {
		return fmt.Errorf("gathering was ended: %w", context.Cause(ctx))
	}
	if b.failed != nil {
		b.add("errors.txt", []byte(b.failed.Error()+"\n"))
	}
	if err := errors.Join(b.broken, b.tar.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

func (b *bundle) add(name string, text []byte) {
	text = b.redact.text(text)
	header := &tar.Header{Name: path.Join("tiktok-operator-support", name), Mode: 0o600, Size: int64(len(text)), ModTime: b.at}
	if err := b.tar.WriteHeader(header); err != nil {
		b.broken = errors.Join(b.broken, err)
		return
	}
	_, err := b.tar.Write(text)
	b.broken = errors.Join(b.broken, err)
}

func (b *bundle) gather(ctx context.Context, namespace string) {
	var channels v1alpha1.TiktokChannelList // the first: what is hidden in them is hidden in the rest
	b.list(ctx, "tiktokchannels.yaml", &channels, func() {
		for i := range channels.Items {
			strip(&channels.Items[i])
			b.redact.channel(&channels.Items[i])
		}
	}, client.InNamespace(namespace))
	var apps v1alpha1.TiktokAppList
	b.list(ctx, "tiktokapps.yaml", &apps, func() {
		for i := range apps.Items {
			strip(&apps.Items[i])
		}
	})
	b.events(ctx, namespace)
	of := []client.ListOption{client.InNamespace(b.operator), &client.ListOptions{Raw: &metav1.ListOptions{LabelSelector: gateway.PartOf}}}
	var deployments appsv1.DeploymentList
	b.list(ctx, "deployments.yaml", &deployments, func() {
		for i := range deployments.Items {
			strip(&deployments.Items[i])
			silence(&deployments.Items[i].Spec.Template.Spec)
		}
	}, of...)
	b.operatorEvents(ctx, b.operator, deployments.Items)
	var pods corev1.PodList
	b.list(ctx, "pods.yaml", &pods, func() {
		for i := range pods.Items {
			strip(&pods.Items[i])
			silence(&pods.Items[i].Spec)
		}
	}, of...)
	for i := range pods.Items {
		for _, container := range pods.Items[i].Spec.Containers {
			b.log(ctx, &pods.Items[i], container.Name, false)
			b.log(ctx, &pods.Items[i], container.Name, true)
		}
	}
}

func (b *bundle) list(ctx context.Context, name string, list client.ObjectList, redact func(), options ...client.ListOption) {
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
	b.add(name, text)
}

func (b *bundle) log(ctx context.Context, pod *corev1.Pod, container string, previous bool) {
	name := container + ".log"
	if previous {
		name = container + "-previous.log"
	}
	name = path.Join("logs", pod.Name, name)
	// The API's own limit in bytes keeps the beginning, and its limit in lines bounds no bytes; so the log is read whole, and its end is kept.
	options := &corev1.PodLogOptions{Container: container, Previous: previous, Timestamps: true}
	stream, err := b.clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		if !previous { // most containers have not been restarted
			b.failed = errors.Join(b.failed, fmt.Errorf("%s: %w", name, err))
		}
		return
	}
	defer stream.Close()
	text, cut, err := newest(stream, maxLog)
	if err != nil {
		b.failed = errors.Join(b.failed, fmt.Errorf("%s: it ends early: %w", name, err))
	}
	if cut {
		b.failed = errors.Join(b.failed, fmt.Errorf("%s: the log is longer; what is here are its last %d MiB", name, maxLog>>20))
	}
	b.add(name, text)
}

// newest reads to the end, and returns the last whole lines of at most so many bytes, and whether anything before them is left out.
func newest(in io.Reader, most int) (lines []byte, cut bool, err error) {
	chunk := make([]byte, 32<<10)
	for {
		n, err := in.Read(chunk)
		lines = append(lines, chunk[:n]...)
		if over := len(lines) - most; over > 0 && (err != nil || over > most) {
			// Half a line is of no use, and half a secret address would not be known as one. One byte before says whether a line begins there.
			rest := lines[over-1:]
			if err != nil {
				_, rest, _ = bytes.Cut(rest, []byte("\n"))
			}
			lines, cut = lines[:copy(lines, rest)], true
		}
		switch {
		case errors.Is(err, io.EOF):
			return lines, cut, nil
		case err != nil:
			return lines, cut, err
		}
	}
}
