package reservation_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
)

// together runs f for each of n at the same moment.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// TestOneOfManyWins: channels race for a business, each from a process of its own. Where it is free, where its holder is gone, and where its
// holder's time is over, one gets it, and the others are told which.
func TestOneOfManyWins(t *testing.T) {
	const racers, rounds = 6, 15
	channels := make([]*v1alpha1.TiktokChannel, racers)
	for i := range channels {
		channels[i] = newChannel(t)
	}
	lapsed := newChannel(t)
	for round := range rounds {
		clock, business := newClock(), unique("business")
		switch round % 3 {
		case 1:
			gone := newChannel(t)
			hold(t, process(clock), business, gone)
			remove(t, gone)
		case 2:
			hold(t, process(clock), business, lapsed)
			pass(clock, reservation.Grace)
		}
		errs := make([]error, racers)
		together(racers, func(i int) { errs[i] = process(clock).Hold(t.Context(), business, channels[i]) })
		var winner *v1alpha1.TiktokChannel
		for i, err := range errs {
			if err == nil && winner != nil {
				t.Fatalf("round %d: %s and %s both hold the business", round, winner.Name, channels[i].Name)
			}
			if err == nil {
				winner = channels[i]
			}
		}
		if winner == nil {
			t.Fatalf("round %d: nobody holds the business: %v", round, errs)
		}
		holder(t, business, winner)
		for _, err := range errs {
			var inUse *reservation.InUseError
			if err != nil && (!errors.As(err, &inUse) || inUse.Name != winner.Name) {
				t.Fatalf("round %d: %v, while %s holds the business", round, err, winner.Name)
			}
		}
	}
}

// meanwhile runs f between the moment at which a process has made up its mind about a Lease and its write.
func meanwhile(f func()) interceptor.Funcs {
	var once sync.Once
	return interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if _, ok := o.(*coordinationv1.Lease); ok {
				once.Do(f)
			}
			return c.Update(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if _, ok := o.(*coordinationv1.Lease); ok {
				once.Do(f)
			}
			return c.Delete(ctx, o, opts...)
		},
	}
}

// TestSlowHolderComesBack: the holder slept, another has found its time to be over, and then it asks again, and stores its tokens. The other
// must not take over any more.
func TestSlowHolderComesBack(t *testing.T) {
	clock, business := newClock(), unique("business")
	slow, other := newChannel(t), newChannel(t)
	hold(t, process(clock), business, slow)
	pass(clock, reservation.Grace)
	r := process(clock, meanwhile(func() {
		hold(t, process(clock), business, slow)
		give(t, slow, business)
	}))
	refused(t, r, business, other, slow)
	holder(t, business, slow)
}

// TestSlowHolderLoses: the holder slept, and asks again the moment that another takes over.
func TestSlowHolderLoses(t *testing.T) {
	clock, business := newClock(), unique("business")
	slow, other := newChannel(t), newChannel(t)
	hold(t, process(clock), business, slow)
	pass(clock, reservation.Grace)
	r := process(clock, meanwhile(func() { hold(t, process(clock), business, other) }))
	refused(t, r, business, slow, other)
	// Tokens that it stores all the same give it nothing.
	give(t, slow, business)
	refused(t, process(clock), business, slow, other)
	holder(t, business, other)
}

// TestReleaseMeanwhile: a Lease that changes under a release stays.
func TestReleaseMeanwhile(t *testing.T) {
	type channel = *v1alpha1.TiktokChannel
	for name, tc := range map[string]struct {
		between func(t *testing.T, r *reservation.Reservations, business string, first, second channel)
		second  bool // holds in the end
	}{
		"another took over": {second: true, between: func(t *testing.T, r *reservation.Reservations, business string, _, second channel) {
			hold(t, r, business, second)
		}},
		"it was free and taken": {second: true, between: func(t *testing.T, r *reservation.Reservations, business string, first, second channel) {
			if err := r.Release(t.Context(), business, first); err != nil {
				t.Fatal(err)
			}
			hold(t, r, business, second)
		}},
		"the holder asked for it again": {between: func(t *testing.T, r *reservation.Reservations, business string, first, _ channel) {
			hold(t, r, business, first)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, business := newClock(), unique("business")
			first, second := newChannel(t), newChannel(t)
			hold(t, process(clock), business, first)
			pass(clock, reservation.Grace)
			r := process(clock, meanwhile(func() { tc.between(t, process(clock), business, first, second) }))
			if err := r.Release(t.Context(), business, first); err != nil {
				t.Fatal(err)
			}
			if tc.second {
				holder(t, business, second)
			} else {
				holder(t, business, first)
			}
		})
	}
}

// TestRelease: the holder gives its business up, and nobody else does.
func TestRelease(t *testing.T) {
	clock, business := newClock(), unique("business")
	first, second := newChannel(t), newChannel(t)
	r := process(clock)
	release := func(business string, ch *v1alpha1.TiktokChannel) {
		t.Helper()
		if err := r.Release(t.Context(), business, ch); err != nil {
			t.Fatal(err)
		}
	}
	release(business, first) // which nobody holds
	release("", first)
	hold(t, r, business, first)
	release(business, second)
	release(unique("business"), first)
	again := first.DeepCopy()
	again.UID = "another-of-the-same-name"
	release(business, again)
	holder(t, business, first)
	release(business, first)
	holder(t, business, nil)
	hold(t, r, business, second)
	holder(t, business, second)
}

// TestReleaseRacesWithHold: one gives up while another asks, many times. A business is never lost: who was told that it holds does hold, and
// who was refused gets it when it asks again.
func TestReleaseRacesWithHold(t *testing.T) {
	clock := newClock()
	first, second := newChannel(t), newChannel(t)
	for range 30 {
		business := unique("business")
		hold(t, process(clock), business, first)
		var released, held error
		together(2, func(i int) {
			if i == 0 {
				released = process(clock).Release(t.Context(), business, first)
			} else {
				held = process(clock).Hold(t.Context(), business, second)
			}
		})
		var inUse *reservation.InUseError
		switch {
		case released != nil:
			t.Fatal(released)
		case held == nil:
			holder(t, business, second)
		case errors.As(held, &inUse):
			holder(t, business, nil)
			hold(t, process(clock), business, second)
		default:
			t.Fatal(held)
		}
	}
}
