package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	// appIndex finds the channels of an app.
	appIndex = "dispatch.appRef"
	// recheckNamespace is how often it is looked whether an app still selects a namespace by its labels, which no watch tells of.
	recheckNamespace = time.Minute
	// readNamespace bounds one look.
	readNamespace = 5 * time.Second
	// recheckUnnamed is the wait for the channels of positions that do not say whose they are.
	recheckUnnamed = time.Minute
)

// Reconciler tells a Dispatcher which channels there are. It writes nothing to the API server.
type Reconciler struct {
	// Reader reads channels and apps from the cache.
	Reader     client.Reader
	Dispatcher *Dispatcher
	// Allowed says whether channels of a namespace may use an app. An error means that this could not be found out.
	Allowed func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error)

	// refused has, by channel, the last answer that was got.
	refused sync.Map
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if req.NamespacedName == unnamed {
		return r.forgetUnnamed(ctx)
	}
	var ch v1alpha1.TiktokChannel
	var again time.Duration
	err := r.Reader.Get(ctx, req.NamespacedName, &ch)
	switch {
	case apierrors.IsNotFound(err):
		r.refused.Delete(req.NamespacedName)
		err = r.Dispatcher.Forget(ctx, req.NamespacedName)
	case err == nil:
		var refused bool
		refused, again = r.refuses(ctx, &ch)
		ch.Spec.Suspend = ch.Spec.Suspend || refused // as good as suspended: events wait
		err = r.Dispatcher.Apply(ctx, &ch)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("dispatching events of the channel: %w", err)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// forgetUnnamed has positions forgotten that cannot be decoded and whose channels are gone. Those of channels that are there have begun anew, or are
// about to.
func (r *Reconciler) forgetUnnamed(ctx context.Context) (result ctrl.Result, err error) {
	var channels v1alpha1.TiktokChannelList
	if err := r.Reader.List(ctx, &channels); err != nil {
		return ctrl.Result{}, fmt.Errorf("looking for the channels of positions that do not name them: %w", err)
	}
	there := map[types.UID]bool{}
	for i := range channels.Items {
		there[channels.Items[i].UID] = true
	}
	left, err := r.Dispatcher.ForgetUnnamed(ctx, there)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("forgetting positions of channels that are gone: %w", err)
	}
	if left { // a channel may be deleted before it was applied
		result.RequeueAfter = recheckUnnamed
	}
	return result, nil
}

// refuses says whether the channel's app does not allow the channel's namespace, and when to look again, if that must be asked for. Only a clear
// refusal counts: where it cannot be found out, it is as it was, and for a channel that is new to this process, as the manager saw it last.
func (r *Reconciler) refuses(ctx context.Context, ch *v1alpha1.TiktokChannel) (refused bool, again time.Duration) {
	key := client.ObjectKeyFromObject(ch)
	last, known := r.refused.Load(key)
	if known {
		refused = last.(bool)
	} else {
		ready := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
		refused = ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.ReasonAppNotAllowed
	}
	log := r.Dispatcher.opts.Logger.WithValues("namespace", ch.Namespace, "channel", ch.Name, "app", ch.Spec.AppRef.Name)
	var app v1alpha1.TiktokApp
	if err := r.Reader.Get(ctx, client.ObjectKey{Name: ch.Spec.AppRef.Name}, &app); err != nil { // its watch tells when it is there
		if !apierrors.IsNotFound(err) {
			log.V(1).Info("the app of a channel cannot be read; deliveries go on as before, or wait as before", "reason", err.Error())
			again = recheckNamespace
		}
		return refused, again
	}
	if allowed := app.Spec.AllowedNamespaces; allowed != nil && allowed.From != v1alpha1.NamespacesAll && allowed.From != v1alpha1.NamespacesNone {
		again = wait.Jitter(recheckNamespace, 0.2)
	}
	ctx, cancel := context.WithTimeout(ctx, readNamespace)
	defer cancel()
	allowed, err := r.Allowed(ctx, &app, ch.Namespace)
	if err != nil {
		log.V(1).Info("whether the app allows the channel's namespace is not known; deliveries go on as before, or wait as before", "reason", err.Error())
		return refused, again
	}
	if refused == allowed {
		log.Info(map[bool]string{
			true:  "the app allows the channel's namespace again: deliveries go on",
			false: "the app does not allow the channel's namespace (spec.allowedNamespaces): deliveries wait, and events are stored",
		}[allowed])
	}
	r.refused.Store(key, !allowed)
	return !allowed, again
}

// channelsOf are the channels of an app.
func (r *Reconciler) channelsOf(ctx context.Context, app client.Object) (requests []reconcile.Request) {
	var channels v1alpha1.TiktokChannelList
	if err := r.Reader.List(ctx, &channels, client.MatchingFields{appIndex: app.GetName()}); err != nil {
		r.Dispatcher.opts.Logger.Error(err, "the channels of an app cannot be listed", "app", app.GetName()) // a cache does not fail
	}
	for i := range channels.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&channels.Items[i])})
	}
	return requests
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
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.TiktokChannel{}, appIndex, func(o client.Object) []string {
		return []string{o.(*v1alpha1.TiktokChannel).Spec.AppRef.Name}
	})
	if err != nil {
		return fmt.Errorf("indexing channels by their app: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).Named("dispatch").For(&v1alpha1.TiktokChannel{}).WatchesRawSource(known).
		Watches(&v1alpha1.TiktokApp{}, handler.EnqueueRequestsFromMapFunc(r.channelsOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: 4}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of deliveries: %w", err)
	}
	if err := mgr.Add(r.Dispatcher); err != nil {
		return fmt.Errorf("adding the dispatcher: %w", err)
	}
	return nil
}
