package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const (
	maxChannels       = 40_000 // the simulator remembers the latest 50,000 calls
	maxRate           = 1000   // the schema's
	operatorNamespace = "tiktok-operator-system"
	appName           = "load"
	refreshEndpoint   = "tt_user/oauth2/refresh_token/"

	residentBudget = 150 // MiB
	writesBudget   = 3
	pacingBudget   = 1.1 // of the time that the rate limit alone asks for
)

// fleet is the suite's state: many channels of one app, one manager, one TikTok.
type fleet struct {
	*stage
	options
	report   *report
	sim      *simulator.Simulator
	app      *v1alpha1.TiktokApp
	channels []*v1alpha1.TiktokChannel // as they were created
	manager  *program.Process
	metrics  string        // of the manager
	adopted  time.Duration // how long taking over took
}

// measureChannels measures what many channels cost: taken over, idle, after a restart, and all due for a refresh at once.
func measureChannels(ctx context.Context, s *stage, o options, rep *report) error {
	f := &fleet{stage: s, options: o, report: rep}
	for _, step := range []func(context.Context) error{
		f.openTikTok,
		f.createApp,
		f.createChannels,
		f.adopt,
		f.restart,
		f.watchIdle,
		f.allDue,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return f.stopManager()
}

// openTikTok serves a simulator without a rate limit of its own: the app's is to be seen.
func (f *fleet) openTikTok(ctx context.Context) error {
	f.sim = simulator.New(simulator.Options{})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: f.sim, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	f.onClose(func() error {
		f.sim.Close()
		return server.Close()
	})
	base := "http://" + listener.Addr().String()
	f.app = &v1alpha1.TiktokApp{
		ObjectMeta: metav1.ObjectMeta{Name: appName},
		Spec: v1alpha1.TiktokAppSpec{
			AppID: "sim-app", PublicURL: "http://127.0.0.1:8080",
			SecretRef: v1alpha1.AppSecretReference{Namespace: operatorNamespace, Name: appName},
			Endpoints: &v1alpha1.AppEndpoints{API: base + "/open_api/v1.3/", Authorize: base + "/v2/auth/authorize"},
			RateLimit: &v1alpha1.AppRateLimit{RequestsPerSecond: maxRate}, // until it is what is measured
		},
	}
	return nil
}

func (f *fleet) createApp(ctx context.Context) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: appName},
			StringData: map[string]string{v1alpha1.DefaultAppSecretKey: "sim-secret"},
		},
		f.app,
	} {
		if err := f.k8s.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
	}
	return nil
}

// limitRate sets the app's rate.
func (f *fleet) limitRate(ctx context.Context, rate int) error {
	base := f.app.DeepCopy()
	f.app.Spec.RateLimit.RequestsPerSecond = int32(rate)
	if err := f.k8s.Patch(ctx, f.app, client.MergeFrom(base)); err != nil {
		return fmt.Errorf("setting the app's rate limit: %w", err)
	}
	return nil
}

func (f *fleet) startManager(ctx context.Context, flags ...string) error {
	ports, err := program.Ports(2)
	if err != nil {
		return err
	}
	f.metrics = fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0])
	f.manager, err = f.start(ctx, filepath.Join(f.binaries, "manager"), "manager", fmt.Sprintf("http://127.0.0.1:%d/readyz", ports[1]), append([]string{
		"--kubeconfig=" + f.kubeconfig, "--namespace=" + operatorNamespace, "--leader-elect=false",
		"--journal-dir=" + filepath.Join(f.dir, "journal"), "--zap-log-level=error",
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", ports[0]), fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", ports[1]),
	}, flags...)...)
	return err
}

func (f *fleet) stopManager() error { return f.manager.Stop(time.Minute) }

// adopt lets the manager take over channels that it has not seen before. Its own limit of requests to the API server is lifted for this:
// what is wanted is the channels, soon.
func (f *fleet) adopt(ctx context.Context) error {
	say("The manager takes over %d channels", f.options.channels)
	began := time.Now()
	before, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	if err := f.startManager(ctx, "--kube-api-qps=5000", "--kube-api-burst=5000"); err != nil {
		return err
	}
	if err := f.settle(ctx, before, f.options.channels); err != nil {
		return err
	}
	f.adopted = time.Since(began)
	resident, peak, err := memory(f.manager.PID())
	if err != nil {
		return err
	}
	f.report.add(
		told("channels taken over", "%d in %s", f.options.channels, f.adopted.Round(time.Second)),
		told("  manager resident then (peak)", "%.0f MiB (%.0f MiB)", resident, peak))
	if err := f.limitRate(ctx, f.rate); err != nil {
		return err
	}
	return f.settle(ctx, before, 0)
}

// restart ends the manager and starts it with its own settings: it must find nothing to do.
func (f *fleet) restart(ctx context.Context) error {
	say("The manager is started anew")
	if err := f.stopManager(); err != nil {
		return err
	}
	before, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	f.sim.ResetCalls()
	if err := f.startManager(ctx, fmt.Sprintf("--kube-api-qps=%g", f.qps), fmt.Sprintf("--kube-api-burst=%g", 2*f.qps)); err != nil {
		return err
	}
	if err := f.settle(ctx, before, 0); err != nil {
		return err
	}
	after, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	writes := after.since(before)
	_, peak, err := memory(f.manager.PID())
	f.report.add(
		told("restart: API writes", "%d %s", writes.total(), writes),
		told("  calls to TikTok", "%d", f.sim.CountCalls("")),
		told("  manager resident, peak", "%.0f MiB", peak))
	f.report.check(f.sim.CountCalls(refreshEndpoint) == 0, "a restart refreshed %d tokens that were not due", f.sim.CountCalls(refreshEndpoint))
	return err
}
