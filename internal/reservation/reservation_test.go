package reservation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
)

func hold(t *testing.T, r *reservation.Reservations, business string, ch *v1alpha1.TiktokChannel) {
	t.Helper()
	if err := r.Hold(t.Context(), business, ch); err != nil {
		t.Fatalf("%s does not get the business: %v", ch.Name, err)
	}
}

// refused asks for a business that another channel holds.
func refused(t *testing.T, r *reservation.Reservations, business string, ch, holder *v1alpha1.TiktokChannel) {
	t.Helper()
	var inUse *reservation.InUseError
	if err := r.Hold(t.Context(), business, ch); !errors.As(err, &inUse) || inUse.Namespace != holder.Namespace || inUse.Name != holder.Name {
		t.Fatalf("%s asks for a business that %s holds: %v", ch.Name, holder.Name, err)
	}
}

// holds asks without a write what hold or refused found out.
func holds(t *testing.T, r *reservation.Reservations, business string, ch, want *v1alpha1.TiktokChannel) {
	t.Helper()
	got, err := r.Holds(t.Context(), business, ch)
	var inUse *reservation.InUseError
	other := errors.As(err, &inUse)
	if (err != nil && !other) || got != (want == ch) || other != (want != nil && want != ch) {
		t.Fatalf("%s holds the business: %t, %v; want it to be held by %v", ch.Name, got, err, want)
	}
	if other && (inUse.Namespace != want.Namespace || inUse.Name != want.Name) {
		t.Fatalf("the holder is %s, want %s", inUse.Name, want.Name)
	}
}

// holder fails unless the channel is the one that the business is reserved for; nil: none is.
func holder(t *testing.T, business string, want *v1alpha1.TiktokChannel) {
	t.Helper()
	key, uid, held, err := process(newClock()).Holder(t.Context(), business)
	switch {
	case err != nil:
		t.Fatal(err)
	case want == nil && held:
		t.Fatalf("held by %s", key)
	case want != nil && (!held || key != client.ObjectKeyFromObject(want) || uid != want.UID):
		t.Fatalf("held %v by %s (%s), want %s (%s)", held, key, uid, want.Name, want.UID)
	}
}

// TestTakeOver: what a second channel gets of a business that a first one asked for, some time later.
func TestTakeOver(t *testing.T) {
	own := func(t *testing.T, ch *v1alpha1.TiktokChannel, business string) { give(t, ch, business) }
	for name, tc := range map[string]struct {
		after  time.Duration
		before func(t *testing.T, first *v1alpha1.TiktokChannel, business string)
		taken  bool
	}{
		"an authorization is under way":              {after: reservation.Grace - time.Second},
		"a process died between holding and storing": {after: reservation.Grace, taken: true},
		"the clock was behind by minutes":            {after: -reservation.Grace + time.Second},
		"the clock was ahead by a year":              {after: -365 * 24 * time.Hour, taken: true},
		"the holder is gone": {taken: true, before: func(t *testing.T, first *v1alpha1.TiktokChannel, _ string) {
			remove(t, first)
		}},
		"the holder was made anew": {taken: true, before: func(t *testing.T, first *v1alpha1.TiktokChannel, _ string) {
			remove(t, first)
			newChannelNamed(t, first.Name)
		}},
		"the holder was made anew and is connected to it": {taken: true, before: func(t *testing.T, first *v1alpha1.TiktokChannel, business string) {
			remove(t, first)
			again := newChannelNamed(t, first.Name)
			connect(t, again, business)
			give(t, again, business)
		}},
		"the holder's status has the business":       {after: 1000 * time.Hour, before: connect},
		"the holder's Secret has the business":       {after: 1000 * time.Hour, before: own},
		"the holder's status has another business":   {after: reservation.Grace, taken: true, before: of(connect, "other")},
		"the holder's Secret has another business":   {after: reservation.Grace, taken: true, before: of(own, "other")},
		"the holder has no business in its Secret":   {after: reservation.Grace, taken: true, before: of(own, "")},
		"the Secret is not the holder's":             {after: reservation.Grace, taken: true, before: foreignSecret},
		"the holder is pinned to it without tokens":  {after: reservation.Grace, taken: true, before: pin},
		"somebody cleared the Lease's holder":        {taken: true, before: editLease(func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil })},
		"the Lease says nothing of times and is old": {after: reservation.Grace, taken: true, before: editLease(timeless)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, business := newClock(), unique("business")
			first, second := newChannel(t), newChannel(t)
			hold(t, process(clock), business, first)
			if tc.before != nil {
				tc.before(t, first, business)
			}
			pass(clock, tc.after)
			if !tc.taken {
				holds(t, process(clock), business, second, first)
				refused(t, process(clock), business, second, first)
				holder(t, business, first)
				return
			}
			holds(t, process(clock), business, second, nil)
			hold(t, process(clock), business, second)
			holds(t, process(clock), business, second, second)
			holder(t, business, second)
			// The former holder, should it still run, learns of it whatever it was about to do, and takes nothing back.
			refused(t, process(clock), business, first, second)
			if err := process(clock).Release(t.Context(), business, first); err != nil {
				t.Fatal(err)
			}
			holder(t, business, second)
		})
	}
}

// of is what is done with a channel, for another business than the one that is asked for.
func of(f func(*testing.T, *v1alpha1.TiktokChannel, string), business string) func(*testing.T, *v1alpha1.TiktokChannel, string) {
	return func(t *testing.T, ch *v1alpha1.TiktokChannel, _ string) { f(t, ch, business) }
}

func foreignSecret(t *testing.T, ch *v1alpha1.TiktokChannel, business string) {
	give(t, ch, business, func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque })
}

func pin(t *testing.T, ch *v1alpha1.TiktokChannel, business string) {
	t.Helper()
	ch.Spec.BusinessID = business
	if err := k8s.Update(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
}

func timeless(l *coordinationv1.Lease) { l.Spec.AcquireTime, l.Spec.RenewTime = nil, nil }

func editLease(edit func(*coordinationv1.Lease)) func(*testing.T, *v1alpha1.TiktokChannel, string) {
	return func(t *testing.T, ch *v1alpha1.TiktokChannel, _ string) {
		t.Helper()
		lease := leaseOf(t, ch)
		edit(lease)
		if err := k8s.Update(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
}

// leaseOf finds the one Lease that a channel holds.
func leaseOf(t *testing.T, ch *v1alpha1.TiktokChannel) *coordinationv1.Lease {
	t.Helper()
	leases := &coordinationv1.LeaseList{}
	if err := k8s.List(t.Context(), leases, client.InNamespace(operator), client.MatchingLabels{v1alpha1.BusinessLabel: "true"}); err != nil {
		t.Fatal(err)
	}
	for i := range leases.Items {
		if l := &leases.Items[i]; ptr.Deref(l.Spec.HolderIdentity, "") == ch.Namespace+"/"+ch.Name {
			return l
		}
	}
	t.Fatalf("no Lease of %s", ch.Name)
	return nil
}

// TestHoldAgain: asking again gives the holder its full time anew where it needs it, and writes nothing where it does not: a refresh asks
// every time.
func TestHoldAgain(t *testing.T) {
	clock, business := newClock(), unique("business")
	first, second := newChannel(t), newChannel(t)
	writes := 0
	r := process(clock, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			writes++
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			writes++
			return c.Update(ctx, o, opts...)
		},
	})
	for _, step := range []struct {
		what string
		wait time.Duration
		want int
	}{
		{"taken", 0, 1},
		{"at once again", 0, 1},
		{"a minute later", time.Minute, 1},
		{"when an authorization could no longer be done in time", reservation.Grace / 2, 2},
		{"after its time", reservation.Grace + time.Hour, 3},
	} {
		pass(clock, step.wait)
		hold(t, r, business, first)
		if writes != step.want {
			t.Fatalf("%s: %d writes, want %d", step.what, writes, step.want)
		}
		pass(clock, reservation.Grace/2-time.Minute)
		refused(t, process(clock), business, second, first)
		pass(clock, -(reservation.Grace/2 - time.Minute))
	}
	connect(t, first, business)
	pass(clock, 24*time.Hour)
	hold(t, r, business, first)
	if writes != 3 {
		t.Errorf("a connected channel's refresh wrote to the Lease")
	}
}

// TestAPIServerAway: what cannot be found out is an error, neither a refusal nor a take-over.
func TestAPIServerAway(t *testing.T) {
	away := errors.New("away")
	for name, fails := range map[string]client.Object{
		"the Lease cannot be read": &coordinationv1.Lease{}, "the holder cannot be read": &v1alpha1.TiktokChannel{},
		"the holder's Secret cannot be read": &corev1.Secret{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, business := newClock(), unique("business")
			first, second := newChannel(t), newChannel(t)
			hold(t, process(clock), business, first)
			pass(clock, reservation.Grace)
			r := process(clock, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if sameKind(o, fails) {
						return away
					}
					return c.Get(ctx, k, o, opts...)
				},
			})
			var inUse *reservation.InUseError
			if err := r.Hold(t.Context(), business, second); !errors.Is(err, away) || errors.As(err, &inUse) {
				t.Errorf("%v", err)
			}
			holder(t, business, first)
		})
	}
	t.Run("nothing can be written", func(t *testing.T) {
		clock, business, ch := newClock(), unique("business"), newChannel(t)
		hold(t, process(clock), business, ch)
		r := process(clock, interceptor.Funcs{
			Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return away },
			Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return away },
		})
		if err := r.Release(t.Context(), business, ch); !errors.Is(err, away) {
			t.Errorf("release: %v", err)
		}
		if err := r.Hold(t.Context(), unique("business"), ch); !errors.Is(err, away) {
			t.Errorf("hold: %v", err)
		}
	})
	t.Run("the operator's namespace is missing", func(t *testing.T) {
		r := reservation.New(reservation.Options{Client: k8s, Namespace: "missing"})
		if err := r.Hold(t.Context(), "any", newChannel(t)); !apierrors.IsNotFound(err) {
			t.Errorf("the error hides the cause: %v", err)
		}
	})
}

func sameKind(a, b client.Object) bool {
	switch a.(type) {
	case *coordinationv1.Lease:
		_, ok := b.(*coordinationv1.Lease)
		return ok
	case *corev1.Secret:
		_, ok := b.(*corev1.Secret)
		return ok
	default:
		_, ok := b.(*v1alpha1.TiktokChannel)
		return ok
	}
}
