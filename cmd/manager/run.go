package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/controllers"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/journal"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=system,resources=leases,verbs=get;create;update;delete
// The Events about leading are made and never repeated: a process leads once.
//
// +kubebuilder:rbac:groups="",namespace=system,resources=events,verbs=create

// clusterEvery is how often an API server that is away is asked again.
const clusterEvery = 2 * time.Second

// run wires the manager and returns when ctx ends and every refresh that was under way is stored.
func run(ctx context.Context, o *options, log logr.Logger) error {
	collectEarly()
	process.BoundMemory(log)
	ctrl.SetLogger(log)
	log.Info("Starting", "version", version, "namespace", o.Namespace)
	cfg, err := o.RESTConfig()
	if err != nil {
		return err
	}
	answers, err := journal.Open(o.journalDir)
	if err != nil {
		return process.Invalid("--journal-dir: %w", err)
	}
	if err := errors.Join(process.CheckAddresses(ctx, o.Addresses()...), awaitCluster(ctx, cfg, answers, log)); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(cfg, managerOptions(o, log))
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	live, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme()})
	if err != nil {
		return fmt.Errorf("setting up the Kubernetes client: %w", err)
	}
	store := tokenstore.New(tokenstore.Options{
		Client: live, Cache: mgr.GetCache(), Holder: process.Identity(), Journal: answers, Log: log.WithName("tokenstore"),
	})
	// Whatever ends the manager (a signal, a lost lease), the process stays until TikTok's answers are stored.
	defer store.WaitPending()
	if err := setup(ctx, mgr, live, store, answers, o); err != nil {
		return err
	}
	// What an earlier process of this pod left behind goes first, whoever leads: it is nobody else's to store.
	if err := store.Replay(ctx); err != nil {
		return err
	}
	return process.Run(ctx, mgr)
}

// awaitCluster tells whether the cluster can be worked with. A process that holds answers of TikTok's does not give up on an API server that
// is away: a container that ends is started anew later and later, and meanwhile another manager may spend the tokens that are answered.
func awaitCluster(ctx context.Context, cfg *rest.Config, answers *journal.Journal, log logr.Logger) error {
	for {
		err := process.CheckCluster(ctx, cfg)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if entries, _ := answers.Entries(); len(entries) == 0 {
			return err
		}
		log.Error(err, "TikTok's answers wait in the journal to be stored; asking the API server again")
		select {
		case <-ctx.Done():
		case <-time.After(clusterEvery):
		}
	}
}

func managerOptions(o *options, log logr.Logger) ctrl.Options {
	forever := time.Duration(-1) // the pod's grace period ends it
	ours, _ := labels.NewRequirement(v1alpha1.ChannelLabel, selection.Exists, nil)
	share := newSharer()
	return ctrl.Options{
		Scheme:                        process.Scheme(),
		Logger:                        log,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "manager.tiktok-operator.io",
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &forever,
		HealthProbeBindAddress:        o.ProbeAddress,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		Cache: cache.Options{
			DefaultNamespaces: o.Namespaces(),
			DefaultTransform:  cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				// Only Secrets that concern a channel: never everybody's.
				&corev1.Secret{}:          {Label: labels.NewSelector().Add(*ours), Transform: share.secret},
				&corev1.Service{}:         {Transform: portsOnly},
				&v1alpha1.TiktokChannel{}: {Transform: share.channel},
			},
		},
	}
}

// portsOnly drops what a sink does not need of a Service.
func portsOnly(object any) (any, error) {
	if service, ok := object.(*corev1.Service); ok {
		service.ManagedFields, service.Annotations, service.Labels = nil, nil, nil
		service.Spec = corev1.ServiceSpec{Ports: service.Spec.Ports, Type: service.Spec.Type}
		service.Status = corev1.ServiceStatus{}
	}
	return object, nil
}

func setup(ctx context.Context, mgr ctrl.Manager, live client.Client, store *tokenstore.Store, answers *journal.Journal, o *options) error {
	counters := controllers.NewMetrics(metrics.Registry)
	metrics.Registry.MustRegister(&controllers.ChannelCollector{Reader: mgr.GetCache()})
	apps := appclient.New(appclient.Options{Reader: live, CacheFor: 5 * time.Second, Observe: appclient.CountCalls(metrics.Registry)})
	suspects := controllers.NewSuspectApps()
	recorder := mgr.GetEventRecorder("tiktok-operator")
	links := &controllers.AuthorizationLinks{Client: live, Namespace: o.Namespace, Clock: clock.RealClock{}}
	if err := mgr.Add(manager.RunnableFunc(links.Start)); err != nil {
		return fmt.Errorf("adding the link keys: %w", err)
	}
	if o.authorizationLinks == linksInAPI {
		links = nil
	}
	var sinkOptions []controllers.SinkOption
	if o.allowPrivateSinks {
		sinkOptions = append(sinkOptions, controllers.PrivateSinks(true))
	}
	channels := &controllers.TiktokChannelReconciler{
		Client: mgr.GetClient(), Live: live, Store: store, Apps: apps,
		Reservations: reservation.New(reservation.Options{Client: live, Namespace: o.Namespace}),
		Links:        links, Suspects: suspects, Recorder: recorder, Metrics: counters, Clock: clock.RealClock{}, Concurrency: o.concurrency,
		ResolveSink: controllers.ResolveSinks(live, sinkOptions...),
	}
	return errors.Join(
		controllers.SetupIndexes(ctx, mgr.GetFieldIndexer()),
		channels.SetupWithManager(mgr, controller.Options{}),
		(&controllers.TiktokAppReconciler{
			Client: mgr.GetClient(), Apps: apps, Suspects: suspects, Recorder: recorder, Clock: clock.RealClock{},
		}).SetupWithManager(mgr, controller.Options{}),
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("shutdown", process.NotStopping(ctx)),
		mgr.AddReadyzCheck("journal", (&journalCheck{check: answers.Check, clock: clock.RealClock{}}).ready),
		mgr.AddReadyzCheck("cache", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return errors.New("the cache has not synced yet")
			}
			return nil
		}),
	)
}
