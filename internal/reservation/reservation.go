// Package reservation makes sure that one business account has one channel in a cluster, also when two authorizations race. A reservation is
// a Lease in the operator's namespace whose name follows from the business id: creating it is atomic, so one of two racers wins.
//
// It knows nothing of tokens. A reservation holds until its channel releases it or no longer exists.
package reservation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=system,resources=leases,verbs=get;create;update;delete

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
}

// Reservations holds businesses for channels.
type Reservations struct {
	opts Options
}

// New returns Reservations.
func New(opts Options) *Reservations { return &Reservations{opts: opts} }

// Hold reserves a business for a channel. It does nothing if the channel holds it already, and takes over from a channel that no longer
// exists. If another channel holds it, the error is an *InUseError; any other error means that the API server could not be asked.
func (r *Reservations) Hold(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error {
	const tries = 5 // every lost race is one more holder to look at
	for range tries {
		done, err := r.tryHold(ctx, businessID, ch)
		if done || (err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err)) {
			return err
		}
	}
	return fmt.Errorf("reserving the business for TiktokChannel %s/%s: lost %d races in a row", ch.Namespace, ch.Name, tries)
}

func (r *Reservations) tryHold(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) (bool, error) {
	lease := &coordinationv1.Lease{}
	err := r.opts.Client.Get(ctx, r.key(businessID), lease)
	if apierrors.IsNotFound(err) {
		lease.ObjectMeta = metav1.ObjectMeta{Namespace: r.opts.Namespace, Name: r.key(businessID).Name}
		assign(lease, ch)
		if err := r.opts.Client.Create(ctx, lease); err != nil {
			return false, fmt.Errorf("creating the business's Lease: %w", err)
		}
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the business's Lease: %w", err)
	}
	if lease.Annotations[v1alpha1.ChannelUIDAnnotation] == string(ch.UID) {
		return true, nil
	}
	exists, err := r.holderExists(ctx, lease)
	if err != nil {
		return false, err
	}
	if exists {
		holder := holderOf(lease)
		return true, &InUseError{Namespace: holder.Namespace, Name: holder.Name}
	}
	assign(lease, ch)
	if err := r.opts.Client.Update(ctx, lease); err != nil {
		return false, fmt.Errorf("taking over the business's Lease: %w", err)
	}
	return true, nil
}

// Release gives a business up if the channel holds it.
func (r *Reservations) Release(ctx context.Context, businessID string, ch *v1alpha1.TiktokChannel) error {
	if businessID == "" {
		return nil
	}
	lease := &coordinationv1.Lease{}
	if err := r.opts.Client.Get(ctx, r.key(businessID), lease); err != nil {
		return client.IgnoreNotFound(err)
	}
	if lease.Annotations[v1alpha1.ChannelUIDAnnotation] != string(ch.UID) {
		return nil
	}
	err := r.opts.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the business's Lease: %w", err)
	}
	return nil
}

// Holder says which channel holds a business, if any.
func (r *Reservations) Holder(ctx context.Context, businessID string) (holder types.NamespacedName, uid types.UID, held bool, err error) {
	lease := &coordinationv1.Lease{}
	if err := r.opts.Client.Get(ctx, r.key(businessID), lease); apierrors.IsNotFound(err) {
		return types.NamespacedName{}, "", false, nil
	} else if err != nil {
		return types.NamespacedName{}, "", false, fmt.Errorf("reading the business's Lease: %w", err)
	}
	return holderOf(lease), types.UID(lease.Annotations[v1alpha1.ChannelUIDAnnotation]), true, nil
}

func (r *Reservations) holderExists(ctx context.Context, lease *coordinationv1.Lease) (bool, error) {
	var ch v1alpha1.TiktokChannel
	err := r.opts.Client.Get(ctx, holderOf(lease), &ch)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether the business's holder exists: %w", err)
	}
	return string(ch.UID) == lease.Annotations[v1alpha1.ChannelUIDAnnotation], nil
}

// key names the Lease of a business. Business ids may hold characters that names may not, so a digest stands for it.
func (r *Reservations) key(businessID string) types.NamespacedName {
	sum := sha256.Sum256([]byte(businessID))
	return types.NamespacedName{Namespace: r.opts.Namespace, Name: "tiktok-business-" + hex.EncodeToString(sum[:20])}
}

func assign(lease *coordinationv1.Lease, ch *v1alpha1.TiktokChannel) {
	if lease.Labels == nil {
		lease.Labels = map[string]string{}
	}
	lease.Labels[v1alpha1.BusinessLabel] = "true"
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[v1alpha1.ChannelUIDAnnotation] = string(ch.UID)
	lease.Spec.HolderIdentity = ptr.To(ch.Namespace + "/" + ch.Name)
}

func holderOf(lease *coordinationv1.Lease) types.NamespacedName {
	namespace, name, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}
