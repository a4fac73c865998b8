package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	defaultConcurrency = 16
	serviceIndex       = "spec.sinks.ref.name"
)

// SetupIndexes adds the cache indexes that the reconcilers list by.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.TiktokChannel{}, appIndex, func(o client.Object) []string {
		return []string{o.(*v1alpha1.TiktokChannel).Spec.AppRef.Name}
	}); err != nil {
		return err
	}
	if err := indexer.IndexField(ctx, &v1alpha1.TiktokApp{}, appIDIndex, func(o client.Object) []string {
		return []string{o.(*v1alpha1.TiktokApp).Spec.AppID}
	}); err != nil {
		return err
	}
	return indexer.IndexField(ctx, &v1alpha1.TiktokChannel{}, serviceIndex, func(o client.Object) []string {
		var names []string
		for _, s := range o.(*v1alpha1.TiktokChannel).Spec.Sinks {
			if s.Ref != nil && !slices.Contains(names, s.Ref.Name) {
				names = append(names, s.Ref.Name)
			}
		}
		return names
	})
}

// SetupWithManager adds the reconciler to a manager.
func (r *TiktokChannelReconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	options.MaxConcurrentReconciles = r.Concurrency
	if options.MaxConcurrentReconciles == 0 {
		options.MaxConcurrentReconciles = defaultConcurrency
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.TiktokChannel{}, builder.WithPredicates(channelChanged())).
		// A Secret with the channel's label is its token Secret, or the user's to import from.
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(channelOfSecret)).
		Watches(&v1alpha1.TiktokApp{}, handler.EnqueueRequestsFromMapFunc(r.channelsOfApp), builder.WithPredicates(appChanged())).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.channelsOfService), builder.WithPredicates(serviceChanged())).
		WithOptions(options).
		Complete(r)
}

// SetupWithManager adds the reconciler to a manager.
func (r *TiktokAppReconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.TiktokApp{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// A channel that comes or goes changes the count, and lets a deleted app go.
		Watches(&v1alpha1.TiktokChannel{}, handler.EnqueueRequestsFromMapFunc(appOfChannel), builder.WithPredicates(comesOrGoes())).
		// An app that goes leaves its webhook to the next of the same app id.
		Watches(&v1alpha1.TiktokApp{}, handler.EnqueueRequestsFromMapFunc(r.appsOfSameID), builder.WithPredicates(comesOrGoes())).
		WatchesRawSource(source.TypedChannel(r.Suspects.wake, handler.TypedEnqueueRequestsFromMapFunc(
			func(_ context.Context, app *v1alpha1.TiktokApp) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: app.Name}}}
			}))).
		WithOptions(options).
		Complete(r)
}

// channelChanged lets through what a pass depends on: the spec, and the refresh annotation. Other annotations and the status do not.
func channelChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			const key = v1alpha1.RefreshRequestedAtAnnotation
			return sinksTurned(e.ObjectOld, e.ObjectNew) || e.ObjectOld.GetAnnotations()[key] != e.ObjectNew.GetAnnotations()[key] ||
				e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
		CreateFunc: func(event.CreateEvent) bool { return false }, DeleteFunc: func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	})
}

// appChanged lets through what channels depend on: the spec, and whether TikTok accepts the app.
func appChanged() predicate.Predicate {
	valid := func(o client.Object) bool {
		return meta.IsStatusConditionTrue(o.(*v1alpha1.TiktokApp).Status.Conditions, v1alpha1.CredentialsValidCondition)
	}
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc:  func(e event.UpdateEvent) bool { return valid(e.ObjectOld) != valid(e.ObjectNew) },
		CreateFunc:  func(event.CreateEvent) bool { return false },
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	})
}

func serviceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !apiequality.Semantic.DeepEqual(e.ObjectOld.(*corev1.Service).Spec.Ports, e.ObjectNew.(*corev1.Service).Spec.Ports)
	}}
}

func comesOrGoes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
}

func channelOfSecret(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[v1alpha1.ChannelLabel]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

func (r *TiktokChannelReconciler) channelsOfApp(ctx context.Context, o client.Object) []reconcile.Request {
	return r.channelsBy(ctx, client.MatchingFields{appIndex: o.GetName()})
}

func (r *TiktokChannelReconciler) channelsOfService(ctx context.Context, o client.Object) []reconcile.Request {
	return r.channelsBy(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{serviceIndex: o.GetName()})
}

func (r *TiktokChannelReconciler) channelsBy(ctx context.Context, by ...client.ListOption) []reconcile.Request {
	var channels v1alpha1.TiktokChannelList
	if err := r.Client.List(ctx, &channels, append(by, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil // the cache answers, or the process is ending
	}
	requests := make([]reconcile.Request, len(channels.Items))
	for i := range channels.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&channels.Items[i])
	}
	return requests
}

func appOfChannel(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.(*v1alpha1.TiktokChannel).Spec.AppRef.Name}}}
}

func (r *TiktokAppReconciler) appsOfSameID(ctx context.Context, o client.Object) []reconcile.Request {
	var apps v1alpha1.TiktokAppList
	if err := r.Client.List(ctx, &apps, client.MatchingFields{appIDIndex: o.(*v1alpha1.TiktokApp).Spec.AppID}); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range apps.Items {
		if apps.Items[i].Name != o.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: apps.Items[i].Name}})
		}
	}
	return requests
}

// sinksTurned says whether the webhook deployment has written something new about a channel's sinks.
func sinksTurned(before, after client.Object) bool {
	was, is := before.(*v1alpha1.TiktokChannel), after.(*v1alpha1.TiktokChannel)
	return !apiequality.Semantic.DeepEqual(was.Status.Sinks, is.Status.Sinks)
}
