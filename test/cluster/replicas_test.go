package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/dispatch"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ownership"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

const channels = 12

func channelUID(i int) string { return fmt.Sprintf("1b4e28ba-2fa1-11d2-883f-0016d3cca4%02d", i) }

// openLog opens the event log in the cluster, for as long as the cluster needs to find itself.
func openLog(ctx context.Context, urls string) (*eventlog.Log, error) {
	var log *eventlog.Log
	var last error
	err := program.Wait(ctx, time.Minute, "the event log in the cluster", func() (bool, error) {
		try, cancel := context.WithTimeout(ctx, 10*time.Second) // a cluster without a leader does not answer
		defer cancel()
		log, last = eventlog.Open(try, eventlog.Options{URL: urls, Replicas: 3, Log: logger()})
		return last == nil, nil
	})
	if err != nil {
		return nil, errors.Join(err, last)
	}
	return log, nil
}

// logger of a replica: what it says is shown if the test fails.
func logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), prefix, args)
	}, funcr.Options{})
}

func startReplica(t *testing.T, name, urls, sink string) *program.Process {
	t.Helper()
	p, err := program.Start(os.Args[0], filepath.Join(t.TempDir(), name+".log"), roleReplica, name, urls, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("replica %s:\n%s", name, p.Output())
		}
	})
	return p
}

// runReplica is what the process of a replica does: what the webhook binary does to deliver, with the channels that a cache would have.
func runReplica(args []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, err := openLog(ctx, args[1])
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	leases, err := log.OpenLeases(ctx)
	if err != nil {
		return err
	}
	shared, err := ownership.New(ownership.Options{Store: leases, ID: args[0], Logger: logger()})
	if err != nil {
		return err
	}
	d, err := dispatch.New(dispatch.Options{Log: log, AllowPrivateSinks: true, Ownership: shared, Logger: logger()})
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	var running sync.WaitGroup
	running.Go(func() { failed <- shared.Start(ctx) })
	running.Go(func() { failed <- d.Start(ctx) })
	for i := range channels {
		ch := &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("shop-%d", i), UID: types.UID(channelUID(i))},
			Spec: v1alpha1.TiktokChannelSpec{Sinks: []v1alpha1.Sink{{Name: "inbox", URI: args[2], Delivery: &v1alpha1.Delivery{
				Timeout: &metav1.Duration{Duration: 2 * time.Second},
				Backoff: &v1alpha1.Backoff{Min: &metav1.Duration{Duration: 20 * time.Millisecond}, Max: &metav1.Duration{Duration: time.Second}},
			}}}},
		}
		for d.Apply(ctx, ch) != nil && ctx.Err() == nil { // as a controller does
			time.Sleep(200 * time.Millisecond)
		}
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stop()
	running.Wait()
	return err
}
