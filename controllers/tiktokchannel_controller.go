package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/appclient"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=channels.tiktok-operator.io,resources=tiktokchannels/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SinkResolver says whether a sink of a channel has an address and its Secrets. The error's text is a sentence; reason is a condition
// reason, "" if the API server could not be asked.
type SinkResolver func(ctx context.Context, ch *v1alpha1.TiktokChannel, sink *v1alpha1.Sink) (reason string, err error)

// TiktokChannelReconciler keeps channels authorized. A pass reads the channel, its app, its token Secret and its sinks; refreshes or imports
// tokens if that is due; and writes the status once, if it changed.
type TiktokChannelReconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Store reads and writes token Secrets.
	Store *tokenstore.Store
	// Apps makes TikTok clients.
	Apps *appclient.Pool
	// Reservations keeps a business to one channel.
	Reservations *reservation.Reservations
	// Links makes authorization links; nil keeps them out of the status.
	Links *AuthorizationLinks
	// ResolveSink looks sinks up.
	ResolveSink SinkResolver
	// Suspects are the apps whose credentials were just refused.
	Suspects *SuspectApps
	// Recorder tells people.
	Recorder events.EventRecorder
	// Metrics counts refreshes.
	Metrics *Metrics
	// Clock is the time.
	Clock clock.Clock
	// Random returns jitter in [0,1); nil means math/rand.
	Random func() float64
	// Concurrency is how many channels are looked at at once; zero means 16.
	Concurrency int

	// profileAt remembers when a channel's profile was last asked for, so that a failure is not repeated at every pass.
	profileAt sync.Map // types.UID → time.Time
	// unnamedAt remembers when TikTok answered a refresh without saying whose the tokens are, so that it is not asked at every pass.
	unnamedAt sync.Map // types.UID → time.Time
	// replaced remembers the version of a channel that the last write of its status replaced: a cache that still has it is behind.
	replaced sync.Map // types.UID → string
}

// cacheLag is how long a watch may take to bring back what was just written.
const cacheLag = 100 * time.Millisecond

// errAgain says that the token Secret changed under a pass: decide anew.
var errAgain = errors.New("the token Secret changed meanwhile")

// Reconcile implements reconcile.Reconciler.
func (r *TiktokChannelReconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	ch := &v1alpha1.TiktokChannel{}
	if err := r.Client.Get(ctx, req.NamespacedName, ch); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if version, ok := r.replaced.Load(ch.UID); ok && version == ch.ResourceVersion {
		// What would be found out is known, and writing it would meet a conflict.
		return ctrl.Result{RequeueAfter: cacheLag}, nil
	}
	ch = ch.DeepCopy()
	if !ch.DeletionTimestamp.IsZero() {
		app := &v1alpha1.TiktokApp{}
		if err := r.Client.Get(ctx, types.NamespacedName{Name: ch.Spec.AppRef.Name}, app); err == nil {
			r.leaveQueue(app, ch) // without the app nobody queues
		}
		return r.reconcileDelete(ctx, ch)
	}
	if !controllerutil.ContainsFinalizer(ch, v1alpha1.Finalizer) {
		if err := r.addFinalizer(ctx, ch); err != nil {
			return ctrl.Result{}, err
		}
	}
	before := ch.DeepCopy()
	defer func() {
		err = errors.Join(err, r.patchStatus(ctx, before, ch))
		if apierrors.IsConflict(err) {
			result, err = ctrl.Result{RequeueAfter: time.Second}, nil
		}
	}()
	return r.reconcile(ctx, ch)
}

// reconcile is one pass: observe, act on the tokens, settle whose they are, and say what came of it.
func (r *TiktokChannelReconciler) reconcile(ctx context.Context, ch *v1alpha1.TiktokChannel) (ctrl.Result, error) {
	p := &pass{
		TiktokChannelReconciler: r, ch: ch,
		log: logr.FromContextOrDiscard(ctx),
		o: observation{
			now: r.Clock.Now().UTC().Truncate(time.Second), suspended: ch.Spec.Suspend, authorizedBefore: ch.Status.BusinessID != "",
		},
	}
	for _, step := range []func(context.Context) error{
		p.observeApp,
		p.observeSecret,
		p.observeBusiness,
		p.observeImport,
		p.settleTokens,
		p.settleBusiness,
		p.readProfile,
		p.observeSinks,
	} {
		if err := step(ctx); errors.Is(err, errAgain) {
			return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil
		} else if err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := p.publish(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return p.next(), nil
}

func (r *TiktokChannelReconciler) addFinalizer(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	base := ch.DeepCopy()
	controllerutil.AddFinalizer(ch, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, ch, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// patchStatus writes the status in one patch, or nothing if nothing changed. The lock keeps a pass that began with an old status from
// undoing a newer one; it repeats no refresh, since what was refreshed is remembered in the token Secret.
func (r *TiktokChannelReconciler) patchStatus(ctx context.Context, before, after *v1alpha1.TiktokChannel) error {
	if apiequality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status: %w", err))
	}
	if after.ResourceVersion != before.ResourceVersion {
		r.replaced.Store(after.UID, before.ResourceVersion)
	}
	return nil
}

func (r *TiktokChannelReconciler) random() float64 {
	if r.Random != nil {
		return r.Random()
	}
	return rand.Float64() //nolint:gosec // jitter is no secret
}

// pass is one look at one channel.
type pass struct {
	*TiktokChannelReconciler
	ch  *v1alpha1.TiktokChannel
	log logr.Logger
	o   observation

	app       *v1alpha1.TiktokApp
	snap      *tokenstore.Snapshot // nil without a token Secret
	imp       *importCandidate     // what is to be imported, if anything
	wakes     []time.Time          // when to look again, beside o.wakeUps
	heldNow   bool                 // the business was reserved, or confirmed, in this pass
	renewed   bool                 // tokens were refreshed or imported in this pass
	confirmed string               // the business that TikTok, or the Lease, says the channel has; "" if neither was asked
}

func (p *pass) wakeIn(d time.Duration) { p.wakes = append(p.wakes, p.o.now.Add(d)) }

// next says when to look at the channel again.
func (p *pass) next() ctrl.Result {
	var soonest time.Time
	for _, at := range append(p.wakes, p.o.wakeUps()...) {
		if at.After(p.o.now) && (soonest.IsZero() || at.Before(soonest)) {
			soonest = at
		}
	}
	if soonest.IsZero() {
		return ctrl.Result{}
	}
	// A second more than needed, since times are kept in whole seconds: never wake before what is waited for.
	return ctrl.Result{RequeueAfter: soonest.Sub(p.o.now) + time.Second}
}

func (p *pass) key() types.NamespacedName { return client.ObjectKeyFromObject(p.ch) }
