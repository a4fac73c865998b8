package ingest

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Router moves events that arrived before their channel held the business (the manager writes status.businessID shortly after an
// authorization) from the unrouted events to the channel. Each process routes once a channel and business, before it stores the first event
// under that channel, so that their order is kept; the controller does so where no event follows.
type Router struct {
	reader client.Reader
	log    EventLog
	logger logr.Logger

	mu     sync.Mutex
	routed map[types.NamespacedName]*route
}

// route is what was done for one channel.
type route struct {
	mu       sync.Mutex
	uid      types.UID
	business string
	done     bool
}

// NewRouter makes a Router. reader reads channels from the cache.
func NewRouter(reader client.Reader, log EventLog, logger logr.Logger) *Router {
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	return &Router{reader: reader, log: log, logger: logger, routed: map[types.NamespacedName]*route{}}
}

// Ensure routes what waits for the channel, unless that was done.
func (r *Router) Ensure(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	return r.run(ctx, ch, false)
}

// Route routes what waits for the channel, also if that was done before.
func (r *Router) Route(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	return r.run(ctx, ch, true)
}

func (r *Router) run(ctx context.Context, ch *v1alpha1.TiktokChannel, again bool) error {
	if ch.Status.BusinessID == "" {
		return nil
	}
	r.mu.Lock()
	state := r.routed[client.ObjectKeyFromObject(ch)]
	if state == nil {
		state = &route{}
		r.routed[client.ObjectKeyFromObject(ch)] = state
	}
	r.mu.Unlock()

	state.mu.Lock()
	defer state.mu.Unlock()
	if state.uid != ch.UID || state.business != ch.Status.BusinessID {
		state.uid, state.business, state.done = ch.UID, ch.Status.BusinessID, false
	}
	if state.done && !again {
		return nil
	}
	moved, err := r.log.RouteUnrouted(ctx, ch.Spec.AppRef.Name, ch.Status.BusinessID, string(ch.UID),
		func(ctx context.Context, record eventlog.Record) error { return follow(ctx, r.log, record) })
	if err != nil {
		return fmt.Errorf("routing earlier events to channel %s/%s: %w", ch.Namespace, ch.Name, err)
	}
	if moved > 0 {
		r.logger.Info("events that arrived before their channel were routed to it", "namespace", ch.Namespace, "name", ch.Name, "events", moved)
	}
	state.done = true
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Router) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var ch v1alpha1.TiktokChannel
	if err := r.reader.Get(ctx, req.NamespacedName, &ch); err != nil {
		if apierrors.IsNotFound(err) {
			r.mu.Lock()
			delete(r.routed, req.NamespacedName)
			r.mu.Unlock()
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the channel: %w", err)
	}
	return ctrl.Result{}, r.Ensure(ctx, &ch)
}

// SetupWithManager registers the Router's controller, which runs in every replica.
func (r *Router) SetupWithManager(mgr manager.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("unrouted-events").For(&v1alpha1.TiktokChannel{}).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false)}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of unrouted events: %w", err)
	}
	return nil
}
