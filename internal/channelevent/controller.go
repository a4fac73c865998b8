package channelevent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// margin is how much sooner an occurrence is too old to be told than the log forgets it: the manager's clock, which dates it, may differ
// from the log's.
const margin = time.Hour

// EventLog stores events. *eventlog.Log is one.
type EventLog interface {
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// Options of New.
type Options struct {
	// Reader reads channels from the cache.
	Reader client.Reader
	Log    EventLog
	// DedupWindow is for how long the log recognises an event that it has. It must be longer than an hour.
	DedupWindow time.Duration
	// Clock; nil means the real one.
	Clock  clock.PassiveClock
	Logger logr.Logger
}

// Reconciler appends what happens to channels to the event log.
type Reconciler struct {
	opts Options

	mu sync.Mutex
	// told are the ids that this process has appended, so that a channel's every change does not repeat them. The log would drop them anyway.
	told map[types.NamespacedName]map[string]bool
}

// New makes a Reconciler.
func New(opts Options) (*Reconciler, error) {
	if opts.DedupWindow <= margin {
		return nil, fmt.Errorf("events about channels need a log that recognises duplicates for more than %s, not %s", margin, opts.DedupWindow)
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	return &Reconciler{opts: opts, told: map[types.NamespacedName]map[string]bool{}}, nil
}

// Reconcile implements reconcile.Reconciler. What could not be stored is tried again until it is, or is too old.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var ch v1alpha1.TiktokChannel
	if err := r.opts.Reader.Get(ctx, req.NamespacedName, &ch); err != nil {
		if apierrors.IsNotFound(err) {
			r.remember(req.NamespacedName, nil)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the channel: %w", err)
	}
	told, kept := r.remembered(req.NamespacedName), map[string]bool{}
	defer func() { r.remember(req.NamespacedName, kept) }()
	for _, o := range occurrences(&ch) {
		if !told[o.id] {
			if r.opts.Clock.Since(o.event.Time) >= r.opts.DedupWindow-margin {
				continue
			}
			if err := r.tell(ctx, &ch, o); err != nil {
				return ctrl.Result{}, err
			}
		}
		kept[o.id] = true
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) tell(ctx context.Context, ch *v1alpha1.TiktokChannel, o occurrence) error {
	body, err := o.event.Body()
	if err != nil {
		return err
	}
	result, err := r.opts.Log.Append(ctx, eventlog.Record{
		ID: o.id, App: ch.Spec.AppRef.Name, BusinessID: ch.Status.BusinessID, ChannelUID: string(ch.UID), Event: o.event.Type,
		ReceivedAt: r.opts.Clock.Now(), Body: body, Own: true,
	})
	if err != nil {
		return fmt.Errorf("storing %s: %w", o.event.Type, err)
	}
	if !result.Duplicate {
		r.opts.Logger.Info("an event about a channel was stored", "namespace", ch.Namespace, "name", ch.Name, "type", o.event.Type, "event", o.id)
	}
	return nil
}

func (r *Reconciler) remembered(channel types.NamespacedName) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[channel]
}

func (r *Reconciler) remember(channel types.NamespacedName, told map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(told) == 0 {
		delete(r.told, channel)
		return
	}
	r.told[channel] = told
}

// SetupWithManager registers the controller, which runs in every replica.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("channel-events").For(&v1alpha1.TiktokChannel{}).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: 4}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of events about channels: %w", err)
	}
	return nil
}
