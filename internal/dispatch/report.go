package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels/status,verbs=patch

// FieldManager owns status.sinks of channels, and nothing else.
const FieldManager = "tiktok-operator-sinks"

const (
	// failingAfter is for how long every attempt must have failed, or been impossible, before a sink is reported as failing.
	failingAfter = time.Minute
	// reportInterval is how often turns are looked for; a channel is written at most every writeInterval.
	reportInterval = 5 * time.Second
	writeInterval  = time.Minute
	// reportTimeout bounds one write.
	reportTimeout = 10 * time.Second
	// maxReport is as long as a message in the status may be, in bytes.
	maxReport = 256
	// forbiddenPrefix begins the message of a sink for which the operator may not read what it needs.
	forbiddenPrefix = "No attempt is possible: "
)

// Reporter writes into the status of channels which sinks fail and which have recovered. It writes turns only: nothing while all goes on as it
// did.
type Reporter struct {
	// Reader reads channels from the cache.
	Reader     client.Reader
	Client     client.Client
	Dispatcher *Dispatcher

	mu      sync.Mutex
	written map[types.UID]time.Time
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: who delivers reports.
func (*Reporter) NeedLeaderElection() bool { return false }

// Start reports until the context ends.
func (r *Reporter) Start(ctx context.Context) error {
	for {
		next := make(chan struct{})
		timer := r.Dispatcher.opts.Clock.AfterFunc(reportInterval, func() { close(next) })
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-next:
			r.Report(ctx)
		}
	}
}

// Report writes the turns that there are to write now. What fails is written another time.
func (r *Reporter) Report(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Dispatcher.opts.Clock.Now()
	workers := map[types.NamespacedName][]*worker{}
	for _, w := range r.Dispatcher.allWorkers() {
		if r.Dispatcher.term(w.uid) == 0 {
			continue // another replica knows
		}
		workers[w.channel] = append(workers[w.channel], w)
	}
	for uid, at := range r.written {
		if now.Sub(at) >= writeInterval {
			delete(r.written, uid)
		}
	}
	for channel, ofChannel := range workers {
		if err := r.report(ctx, channel, ofChannel, now); err != nil && ctx.Err() == nil {
			r.Dispatcher.opts.Logger.Info("the state of a channel's sinks was not written; trying again",
				"namespace", channel.Namespace, "channel", channel.Name, "reason", err.Error())
		}
	}
}

func (r *Reporter) report(ctx context.Context, channel types.NamespacedName, workers []*worker, now time.Time) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := r.Reader.Get(ctx, channel, ch); err != nil {
		return client.IgnoreNotFound(err)
	}
	if _, soon := r.written[ch.UID]; soon || !ch.DeletionTimestamp.IsZero() {
		return nil
	}
	sinks := sinkStatuses(ch, workers, now)
	if equality.Semantic.DeepEqual(sinks, ch.Status.Sinks) || len(sinks)+len(ch.Status.Sinks) == 0 {
		return nil
	}
	patch, err := sinksPatch(ch, sinks)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err = r.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(patch), client.FieldOwner(FieldManager), client.ForceOwnership)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what was decided by is old: it is decided anew
	}
	if r.written == nil {
		r.written = map[types.UID]time.Time{}
	}
	r.written[ch.UID] = now // after an error too: the API server has enough to do
	return err
}

// sinksPatch is the channel as server-side apply takes it. It applies to the version that was decided by only.
func sinksPatch(ch *v1alpha1.TiktokChannel, sinks []v1alpha1.SinkStatus) (*unstructured.Unstructured, error) {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.TiktokChannelStatus{Sinks: sinks})
	if err != nil {
		return nil, fmt.Errorf("encoding the state of sinks: %w", err)
	}
	patch := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	patch.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TiktokChannel"))
	patch.SetNamespace(ch.Namespace)
	patch.SetName(ch.Name)
	patch.SetUID(ch.UID)
	patch.SetResourceVersion(ch.ResourceVersion)
	return patch, nil
}

// sinkStatuses are the channel's sinks that have turned, in the order of their names: as they were where nothing else is known, since a
// restart makes no sink healthy.
func sinkStatuses(ch *v1alpha1.TiktokChannel, workers []*worker, now time.Time) []v1alpha1.SinkStatus {
	var all []v1alpha1.SinkStatus
	for i := range ch.Spec.Sinks {
		name := ch.Spec.Sinks[i].Name
		status := v1alpha1.SinkStatus{Name: name}
		if at := slices.IndexFunc(ch.Status.Sinks, func(s v1alpha1.SinkStatus) bool { return s.Name == name }); at >= 0 {
			status = ch.Status.Sinks[at]
		}
		for _, w := range workers {
			if w.sink == name && w.uid == string(ch.UID) {
				w.turned(&status, now)
			}
		}
		if status.State != "" {
			all = append(all, status)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.SinkStatus) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// turned changes a status if the sink has turned, or if what is told of it is mended and something else is wrong.
func (w *worker) turned(status *v1alpha1.SinkStatus, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &w.health
	problem, since := h.trouble(now)
	switch failing := status.State == v1alpha1.SinkFailing; {
	case !failing && problem != "":
		status.State, status.Since, status.Message = v1alpha1.SinkFailing, seconds(since), short(problem)
	case failing && problem != "" && strings.HasPrefix(problem, forbiddenPrefix) != strings.HasPrefix(status.Message, forbiddenPrefix):
		status.Message = short(problem)
	case failing && !h.failing() && !h.good.IsZero():
		status.State, status.Since, status.Message = v1alpha1.SinkHealthy, seconds(h.good), "The sink takes events again."
	}
}

// seconds is a time as the API server keeps it, which makes it equal to itself once it comes back.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// short cuts a message to what the status holds.
func short(s string) string {
	if len(s) <= maxReport {
		return s
	}
	s = s[:maxReport-len("…")]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
