// Package reservation makes sure that one business account has one channel in a cluster, also when two authorizations race. A reservation is
// a Lease in the operator's namespace whose name follows from the business id: creating it is atomic, and every change of it is a
// compare-and-swap, so one of two racers wins.
//
// A reservation holds until its channel releases it or no longer exists. It is made before the tokens are stored, so a process that ends
// in between would leave a business to a channel that has nothing of it: a channel without the business's tokens holds for Grace only.
//
// The Lease alone says who holds a business, and it cannot keep a process that slept through Grace from storing tokens late: whoever stores
// tokens asks Hold again afterwards, and does not work with them while the answer is an *InUseError.
package reservation

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=system,resources=leases,verbs=get;create;update;delete
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// Grace is how long a channel holds a business of which it has no tokens yet. It is much longer than an authorization takes from the
// reservation to the stored tokens (under a minute), so that one that is under way is not overtaken, also where clocks differ.
const Grace = 15 * time.Minute

// InUseError says that another channel holds the business.
type InUseError struct {
	Namespace, Name string
}

// Error implements error. The other channel's name is for operators: never show it to tenants.
func (e *InUseError) Error() string {
	return fmt.Sprintf("the business is held by TiktokChannel %s/%s", e.Namespace, e.Name)
}

// Options of Reservations.
type Options struct {
	// Client reads and writes uncached.
	Client client.Client
	// Namespace is the operator's own.
	Namespace string
	// Clock defaults to the real one.
	Clock clock.PassiveClock
}

// Reservations holds businesses for channels.
type Reservations struct {
	opts   Options
	tokens *tokenstore.Store // reads only
}

// New returns Reservations.
func New(opts Options) *Reservations {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Reservations{opts: opts, tokens: tokenstore.New(tokenstore.Options{Client: opts.Client})}
}

// Hold reserves a business for a channel: nobody else gets it for half of Grace at least, nor while the channel has the business's tokens.
// It takes over from a channel that no longer exists, or that has had the business for Grace without getting its tokens. If another channel
// holds it, the error is an *InUseError; any other error means that the API server could not be asked.
func (r *Reservations) Hold(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error {
	const tries = 5 // every lost race is one more holder to look at
	var lost error
	for range tries {
		done, err := r.tryHold(ctx, businessID, ch)
		if done || (err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err)) {
			return err
		}
		lost = err
	}
	return fmt.Errorf("reserving the business for TiktokChannel %s/%s: lost %d races in a row: %w", ch.Namespace, ch.Name, tries, lost)
}

func (r *Reservations) tryHold(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) (bool, error) {
	lease := &coordinationv1.Lease{}
	err := r.opts.Client.Get(ctx, r.key(businessID), lease)
	if apierrors.IsNotFound(err) {
		lease.ObjectMeta = metav1.ObjectMeta{Namespace: r.opts.Namespace, Name: r.key(businessID).Name}
		assign(lease, ch, r.opts.Clock.Now())
		if err := r.opts.Client.Create(ctx, lease); err != nil {
			return false, fmt.Errorf("creating the business's Lease: %w", err)
		}
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the business's Lease: %w", err)
	}
	if heldBy(lease, ch) {
		return r.keep(ctx, lease, businessID, ch)
	}
	holds, err := r.holderHolds(ctx, lease, businessID)
	if err != nil {
		return false, err
	}
	if holds {
		holder := holderOf(lease)
		return true, &InUseError{Namespace: holder.Namespace, Name: holder.Name}
	}
	// The Lease was read before its holder was looked at, and the holder renews it before it stores tokens: if that happened in between,
	// this write is refused.
	assign(lease, ch, r.opts.Clock.Now())
	if err := r.opts.Client.Update(ctx, lease); err != nil {
		return false, fmt.Errorf("taking over the business's Lease: %w", err)
	}
	return true, nil
}

// keep makes sure that the holder's time does not end while it goes on. A channel that is known to have the business needs no time, so a
// refresh writes nothing here.
func (r *Reservations) keep(ctx context.Context, lease *coordinationv1.Lease, businessID string, ch *v1alpha1.TiktokChannel) (bool, error) {
	now := r.opts.Clock.Now()
	if ch.Status.BusinessID == businessID || within(lease, now, Grace/2) {
		return true, nil
	}
	renew(lease, now)
	if err := r.opts.Client.Update(ctx, lease); err != nil {
		return false, fmt.Errorf("renewing the business's Lease: %w", err)
	}
	return true, nil
}

// Release gives a business up if the channel holds it.
func (r *Reservations) Release(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error {
	if businessID == "" {
		return nil
	}
	lease := &coordinationv1.Lease{}
	if err := r.opts.Client.Get(ctx, r.key(businessID), lease); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the business's Lease: %w", err)
	}
	if !heldBy(lease, ch) {
		return nil
	}
	// A Lease that changed since it was read is another's by now, or was just asked for again: it stays.
	err := r.opts.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the business's Lease: %w", err)
	}
	return nil
}

// Holder says which channel a business is reserved for, if any. It does not look whether the reservation has lapsed: who asks wants to hurt
// nobody.
func (r *Reservations) Holder(ctx context.Context, businessID string) (holder types.NamespacedName, uid types.UID, held bool, err error) {
	lease := &coordinationv1.Lease{}
	if err := r.opts.Client.Get(ctx, r.key(businessID), lease); apierrors.IsNotFound(err) {
		return types.NamespacedName{}, "", false, nil
	} else if err != nil {
		return types.NamespacedName{}, "", false, fmt.Errorf("reading the business's Lease: %w", err)
	}
	return holderOf(lease), types.UID(lease.Annotations[v1alpha1.ChannelUIDAnnotation]), true, nil
}

// Holds says, without a write, whether the channel holds a business. If another channel does, the error is an *InUseError.
func (r *Reservations) Holds(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) (bool, error) {
	lease := &coordinationv1.Lease{}
	if err := r.opts.Client.Get(ctx, r.key(businessID), lease); apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("reading the business's Lease: %w", err)
	}
	if heldBy(lease, ch) {
		return true, nil
	}
	other, err := r.holderHolds(ctx, lease, businessID)
	if err != nil || !other {
		return false, err
	}
	holder := holderOf(lease)
	return false, &InUseError{Namespace: holder.Namespace, Name: holder.Name}
}

// holderHolds says whether the channel that a Lease names still counts.
func (r *Reservations) holderHolds(ctx context.Context, lease *coordinationv1.Lease, businessID string) (bool, error) {
	key := holderOf(lease)
	if key.Name == "" {
		return false, nil // somebody cleared it
	}
	holder := &v1alpha1.TiktokChannel{}
	err := r.opts.Client.Get(ctx, key, holder)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether the business's holder exists: %w", err)
	}
	if !heldBy(lease, holder) {
		return false, nil // another channel of the same name
	}
	if holder.Status.BusinessID == businessID || within(lease, r.opts.Clock.Now(), Grace) {
		return true, nil
	}
	// The status may be behind the Secret.
	snap, err := r.tokens.GetLive(ctx, holder)
	var notOwned *tokenstore.NotOwnedError
	if errors.As(err, &notOwned) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether the business's holder has its tokens: %w", err)
	}
	return snap != nil && snap.Tokens.BusinessID == businessID, nil
}
