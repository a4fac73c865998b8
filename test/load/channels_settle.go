package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	quiet    = 6 * time.Second // without a write and a call: settled
	patience = 3 * time.Minute // without any progress: stuck
	lookEach = 2 * time.Second // the API server's metrics cost it time that it should have for others
)

// settle waits until nothing is written and TikTok is not called any more. atLeast are the writes since an earlier count that are to be
// expected; without them it is stuck and not settled. Then every channel must be Ready.
func (f *fleet) settle(ctx context.Context, began apiWrites, atLeast int) error {
	writes, calls, changed, told := began, f.sim.CountCalls(""), time.Now(), time.Now()
	for {
		if err := f.pause(ctx, lookEach); err != nil {
			return err
		}
		now, err := f.apiWrites(ctx)
		if err != nil {
			return err
		}
		done := now.since(began).total()
		switch nowCalls := f.sim.CountCalls(""); {
		case !maps.Equal(now, writes) || nowCalls != calls:
			writes, calls, changed = now, nowCalls, time.Now()
		case time.Since(changed) >= quiet && done >= atLeast:
			return f.allReady(ctx)
		case time.Since(changed) >= patience:
			return fmt.Errorf("stuck: nothing has happened for %s; %d API writes so far", patience, done)
		}
		if time.Since(told) > 20*time.Second {
			told = time.Now()
			say("  %d API writes, %d calls to TikTok", done, calls)
		}
	}
}

// pause waits, and ends early with ctx or the manager.
func (f *fleet) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.manager.Done():
		return fmt.Errorf("the manager has ended")
	}
}

// allReady checks that every channel is there and Ready.
func (f *fleet) allReady(ctx context.Context) error {
	ready, example := 0, ""
	err := each(ctx, f.k8s, &v1alpha1.TiktokChannelList{}, func(page *v1alpha1.TiktokChannelList) error {
		for i := range page.Items {
			ch := &page.Items[i]
			if meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.ReadyCondition) && ch.Status.BusinessID != "" {
				ready++
			} else {
				example = fmt.Sprintf("; %s/%s: %+v", ch.Namespace, ch.Name, ch.Status.Conditions)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.report.check(ready == f.options.channels, "%d of %d channels are Ready%s", ready, f.options.channels, example)
	return nil
}

// businessLeases are the versions of the Leases by which channels hold businesses.
func (f *fleet) businessLeases(ctx context.Context) (map[string]string, error) {
	versions := map[string]string{}
	err := each(ctx, f.k8s, &coordinationv1.LeaseList{}, func(page *coordinationv1.LeaseList) error {
		for i := range page.Items {
			versions[page.Items[i].Name] = page.Items[i].ResourceVersion
		}
		return nil
	}, client.InNamespace(operatorNamespace), client.HasLabels{v1alpha1.BusinessLabel})
	return versions, err
}
