package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/channelevent"
	"github.com/tiktok-operator/tiktok-operator/internal/deadletter"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/fetch"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/process"
	"github.com/tiktok-operator/tiktok-operator/internal/removal"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// run wires the webhook binary and returns when ctx ends and everything that was under way is settled. The event log closes last.
func run(ctx context.Context, o *options, log logr.Logger) (err error) {
	ctrl.SetLogger(log)
	process.BoundMemory(log)
	process.CollectLate()
	log.Info("Starting", "version", version, "namespace", o.Namespace)
	cfg, err := o.RESTConfig()
	if err != nil {
		return err
	}
	if err := errors.Join(process.CheckAddresses(ctx, o.addresses()...), process.CheckCluster(ctx, cfg)); err != nil {
		return err
	}
	events, err := openEventLog(ctx, o, log.WithName("eventlog"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	grace := 45 * time.Second // within the pod's 60
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: process.Scheme(), Logger: log, HealthProbeBindAddress: o.ProbeAddress, GracefulShutdownTimeout: &grace,
		Metrics: metricsserver.Options{BindAddress: o.MetricsAddress},
		Cache:   cache.Options{DefaultNamespaces: o.Namespaces(), DefaultTransform: cache.TransformStripManagedFields()},
		// Secrets, Services and Leases are read by name, never listed.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: uncached()}},
	})
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	live, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme()})
	if err != nil {
		return fmt.Errorf("setting up the Kubernetes client: %w", err)
	}
	tracer, flush, err := startTraces(ctx, o, log)
	if err != nil {
		return err
	}
	defer flush()
	s := &servers{tracer: tracer, mgr: mgr, live: live, events: events, options: o, log: log, registry: metrics.Registry}
	if err := s.setup(ctx); err != nil {
		return err
	}
	return process.Run(ctx, mgr)
}

// openEventLog opens the log, which reads and checks every stored event: minutes, of a large log on a slow disk. Probes are answered meanwhile.
func openEventLog(ctx context.Context, o *options, log logr.Logger) (*eventlog.Log, error) {
	stop, err := process.ServeStarting(ctx, o.ProbeAddress)
	if err != nil {
		return nil, err
	}
	defer stop()
	events, err := eventlog.Open(ctx, o.eventLog(log))
	if err != nil {
		return nil, fmt.Errorf("opening the event log of %s: %w", o.eventLogFlag(), err)
	}
	return events, nil
}

// servers are the parts of the binary while they are put together.
type servers struct {
	mgr      ctrl.Manager
	live     client.Client
	events   *eventlog.Log
	options  *options
	log      logr.Logger
	registry prometheus.Registerer
	tracer   *tracing.Tracer // nil if none are recorded
}

func (s *servers) setup(ctx context.Context) error {
	if err := ingest.IndexChannels(ctx, s.mgr.GetFieldIndexer()); err != nil {
		return fmt.Errorf("indexing channels: %w", err)
	}
	calls := tiktok.NewHTTPClient()
	calls.Transport = s.tracer.Transport(calls.Transport)
	apps := appclient.New(appclient.Options{
		HTTPClient: calls, Reader: s.live, CacheFor: 30 * time.Second, Observe: appclient.CountCalls(s.registry), DialDownload: s.dialDownload(),
	})
	if err := s.registry.Register(&eventlog.Collector{Log: s.events}); err != nil {
		return fmt.Errorf("registering the metrics of the event log: %w", err)
	}
	router := ingest.NewRouter(s.mgr.GetCache(), s.events, s.log.WithName("ingest"))
	directory := &ingest.Directory{}
	if err := directory.Follow(ctx, s.mgr.GetCache()); err != nil {
		return err
	}
	webhooks, err := ingest.New(ingest.Options{
		Reader: s.mgr.GetCache(), Directory: directory, Credentials: apps, Log: s.events, Router: router,
		Tolerance:  tiktok.Tolerance{Past: s.options.tolerance, Future: ingest.DefaultTolerance().Future},
		Registerer: s.registry, Tracer: s.tracer, Logger: s.log.WithName("ingest"),
	})
	if err != nil {
		return err
	}
	tokens := tokenstore.New(tokenstore.Options{Client: s.live, Holder: process.Identity(), Log: s.log.WithName("tokenstore")})
	authorizations, err := s.authorizations(apps, tokens)
	if err != nil {
		return err
	}
	owner, err := s.ownership(ctx)
	if err != nil {
		return err
	}
	dispatcher, err := dispatch.New(dispatch.Options{
		Log: s.events, Ownership: owner, Reader: s.live, AllowPrivateSinks: s.options.allowPrivateSinks, Registerer: s.registry,
		Tracer: s.tracer, Logger: s.log.WithName("dispatch"),
	})
	if err != nil {
		return err
	}
	channelEvents, err := channelevent.New(channelevent.Options{
		Reader: s.mgr.GetCache(), Log: s.events, DedupWindow: s.options.dedupWindow(), Logger: s.log.WithName("channelevent"),
	})
	if err != nil {
		return err
	}
	fetcher, err := fetch.New(fetch.Options{
		Log: s.events, Reader: s.mgr.GetCache(), Apps: apps, Tokens: tokens,
		Registerer: s.registry, Logger: s.log.WithName("fetch"),
	})
	if err != nil {
		return err
	}
	// Of these, the dispatcher alone divides channels among replicas. The fetcher and the removals are work queues (eventlog.WorkJobs), of
	// which each job is one replica's at a time; what the router and the channel events store is recognised by its id when another replica
	// stores it too.
	return errors.Join(
		router.SetupWithManager(s.mgr),
		s.mgr.Add(fetcher),
		s.mgr.Add(&deadletter.Replayer{Jobs: s.events, Logger: s.log.WithName("replay")}),
		channelEvents.SetupWithManager(s.mgr),
		s.mgr.Add(&removal.Worker{Reader: s.mgr.GetCache(), Jobs: s.events, Tokens: tokens, Logger: s.log.WithName("removal")}),
		(&dispatch.Reconciler{Reader: s.mgr.GetCache(), Dispatcher: dispatcher, Allowed: s.allowed()}).SetupWithManager(s.mgr),
		s.mgr.Add(&dispatch.Reporter{Reader: s.mgr.GetCache(), Client: s.live, Dispatcher: dispatcher}),
		s.listen("public", s.options.publicAddress, ingest.NewServer(public(webhooks, authorizations), nil), nil, ingest.MaxConnections),
		s.private(authorizations, apps, tokens),
		s.mgr.AddHealthzCheck("ping", healthz.Ping),
		s.mgr.AddHealthzCheck("event-log", func(*http.Request) error { return s.events.Alive() }),
		s.mgr.AddReadyzCheck("shutdown", process.NotStopping(ctx)),
		s.mgr.AddReadyzCheck("event-log", func(r *http.Request) error { return s.events.Ready(r.Context()) }),
		s.mgr.AddReadyzCheck("cache", s.cacheSynced),
	)
}

// allowed says whether channels of a namespace may use an app. It is asked about every channel again and again.
func (s *servers) allowed() func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
	namespaces := appclient.KeepNamespaces(s.live, 30*time.Second, clock.RealClock{})
	return func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
		return appclient.NamespaceAllowed(ctx, namespaces, app, namespace)
	}
}

// dialDownload is asked about addresses of media, which TikTok names: they are guarded as addresses of sinks are.
func (s *servers) dialDownload() func(string, string, syscall.RawConn) error {
	if s.options.allowPrivateSinks {
		return func(string, string, syscall.RawConn) error { return nil }
	}
	return sink.Guard
}

func (s *servers) cacheSynced(r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if !s.mgr.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the cache has not synced yet")
	}
	return nil
}

func (s *servers) authorizations(apps *appclient.Pool, tokens *tokenstore.Store) (*oauth.Handler, error) {
	observe, err := oauth.CountResults(s.registry)
	if err != nil {
		return nil, err
	}
	return oauth.New(oauth.Options{
		Reader: s.live, Namespace: s.options.Namespace, Apps: apps,
		Allowed: func(ctx context.Context, app *v1alpha1.TiktokApp, namespace string) (bool, error) {
			return appclient.NamespaceAllowed(ctx, s.live, app, namespace)
		},
		Tokens:       tokens,
		Reservations: reservation.New(reservation.Options{Client: s.live, Namespace: s.options.Namespace}),
		Uses:         s.events, Recorder: s.mgr.GetEventRecorder("tiktok-operator"),
		Observe: observe, Clock: clock.RealClock{}, Log: s.log.WithName("oauth"),
	})
}

// public serves both kinds of visitors of the public address: TikTok's servers and people's browsers.
func public(webhooks, authorizations http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if oauth.Handles(r.URL.Path) {
			authorizations.ServeHTTP(w, r)
			return
		}
		webhooks.ServeHTTP(w, r)
	})
}
