package dispatch

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Reconciler tells a Dispatcher which channels there are. It writes nothing to the API server.
type Reconciler struct {
	// Reader reads channels from the cache.
	Reader     client.Reader
	Dispatcher *Dispatcher
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var ch v1alpha1.TiktokChannel
	err := r.Reader.Get(ctx, req.NamespacedName, &ch)
	switch {
	case apierrors.IsNotFound(err):
		err = r.Dispatcher.Forget(ctx, req.NamespacedName)
	case err == nil:
		err = r.Dispatcher.Apply(ctx, &ch)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("dispatching events of the channel: %w", err)
	}
	return ctrl.Result{}, nil
}

// SetupWithManager registers the controller, which runs in every replica, and the Dispatcher itself.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	// Channels that were deleted while nobody looked have positions left, but cause no event.
	known := source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			channels, err := r.Dispatcher.Known(ctx)
			if err != nil {
				return // the process ends
			}
			for _, key := range channels {
				queue.Add(reconcile.Request{NamespacedName: key})
			}
		}()
		return nil
	})
	err := ctrl.NewControllerManagedBy(mgr).Named("dispatch").For(&v1alpha1.TiktokChannel{}).WatchesRawSource(known).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: 4}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of deliveries: %w", err)
	}
	if err := mgr.Add(r.Dispatcher); err != nil {
		return fmt.Errorf("adding the dispatcher: %w", err)
	}
	return nil
}
