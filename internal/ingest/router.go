package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

const (
	// routingsAtOnce is how many channels the controller attends to at a time.
	routingsAtOnce = 4
	// maxFailedRoutings waits to be noticed by the controller.
	maxFailedRoutings = 1000
	// recheckUnrouted is how often it is looked for events that nobody moves.
	recheckUnrouted = time.Minute
	// settling is how long after a moving another process may still store events of the channel as unrouted: it has not heard of the channel, or
	// that nothing waits any more. Events cost one more question to the server meanwhile.
	settling = 10 * time.Minute
)

// Router moves events that arrived before their channel held the business (the manager writes status.businessID shortly after an
// authorization) from the unrouted events to the channel. Each process does so once a channel and business, before it stores the first event
// under that channel, so that their order is kept; the controller does so where no event follows. The moving goes on when the webhook that began
// it has ended: a thousand events may wait. Until it has ended, the channel's new events are stored as unrouted too, and moved in their turn.
//
// What another process stores as unrouted, which does not know the channel yet, is looked for before each event that is stored under the channel, as
// long as that may be; and from time to time, since no event may follow.
type Router struct {
	reader client.Reader
	log    EventLog
	logger logr.Logger
	// failed are the channels whose events could not be moved, for the controller to try again.
	failed chan event.GenericEvent
	// recheck is how often it is looked for events that were left.
	recheck time.Duration
	clock   clock.PassiveClock

	mu     sync.Mutex
	routed map[types.NamespacedName]*route
}

// NewRouter makes a Router. reader reads channels from the cache.
func NewRouter(reader client.Reader, log EventLog, logger logr.Logger) *Router {
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	return &Router{
		reader: reader, log: log, logger: logger, failed: make(chan event.GenericEvent, maxFailedRoutings), routed: map[types.NamespacedName]*route{},
		recheck: recheckUnrouted, clock: clock.RealClock{},
	}
}

// Ready says whether an event may be stored under the channel. If not, earlier ones are being moved there: it is to be stored as unrouted, and
// Route to be called. The error says that moving them failed, or that it is not known whether there are any.
func (r *Router) Ready(ctx context.Context, ch *v1alpha1.TiktokChannel) (bool, error) {
	state := r.routeOf(ch)
	if m := r.begin(ctx, ch, state, false); m != nil {
		if done, err := state.await(ctx, m); !done {
			return false, err
		}
	}
	// A moving that began before this event came may have missed what another process acknowledged since.
	if left, err := r.left(ctx, state); !left || err != nil {
		return err == nil, err
	}
	return state.await(ctx, r.begin(ctx, ch, state, true))
}

// left says whether another process has stored events as unrouted since this one moved what there was.
func (r *Router) left(ctx context.Context, state *route) (bool, error) {
	if r.clock.Since(state.doneAt()) >= settling {
		return false, nil
	}
	left, err := state.left.ask(ctx, func() (bool, error) { return r.log.LeftByOthers(ctx, state.app, state.business) })
	if err != nil {
		return false, fmt.Errorf("looking for events that other replicas stored before they knew the channel: %w", err)
	}
	return left, nil
}

// Route has an event moved to the channel that was stored as unrouted just now. It waits for that, though not for long.
func (r *Router) Route(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	return r.begin(ctx, ch, r.routeOf(ch), true).wait(ctx)
}

// Ensure has moved what waits for the channel when it returns nil.
func (r *Router) Ensure(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	if ch.Status.BusinessID == "" {
		return nil
	}
	state := r.routeOf(ch)
	for {
		m := r.begin(ctx, ch, state, false)
		if m == nil {
			return nil
		}
		select {
		case <-m.ended:
			if m.err != nil {
				return m.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Router) routeOf(ch *v1alpha1.TiktokChannel) *route {
	key, t := client.ObjectKeyFromObject(ch), target{app: ch.Spec.AppRef.Name, business: ch.Status.BusinessID, uid: string(ch.UID)}
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.routed[key]
	if state == nil || state.target != t {
		state.abandon()
		state = &route{target: t, left: question{turn: make(chan struct{}, 1)}}
		r.routed[key] = state
	}
	return state
}

// begin is the moving that is under way, or a new one; nil if nothing waits. more says that something was stored that is to be moved: a moving
// that is under way does not end without it.
func (r *Router) begin(ctx context.Context, ch *v1alpha1.TiktokChannel, state *route, more bool) *moving {
	state.mu.Lock()
	defer state.mu.Unlock()
	switch {
	case state.moving != nil:
		state.moving.again = state.moving.again || more
		return state.moving
	case state.done && !more:
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // others wait for it, too
	m := newMoving(cancel)
	state.done, state.moving = false, m
	go r.move(ctx, types.NamespacedName{Namespace: ch.Namespace, Name: ch.Name}, state, m)
	return m
}

func (r *Router) move(ctx context.Context, channel types.NamespacedName, state *route, m *moving) {
	total := 0
	for more := true; more; {
		moved, err := r.log.RouteUnrouted(ctx, state.app, state.business, state.uid,
			func(ctx context.Context, record eventlog.Record) error { return follow(ctx, r.log, record) })
		total += moved
		if err != nil {
			m.err = fmt.Errorf("routing earlier events to channel %s: %w", channel, err)
		}
		more = state.moved(m, r.clock.Now())
	}
	if total > 0 {
		r.logger.Info("events that arrived before their channel were routed to it", "namespace", channel.Namespace, "name", channel.Name, "events", total)
	}
	if m.err != nil && ctx.Err() == nil {
		r.logger.Info("events that arrived before their channel are not routed to it yet; trying again", "namespace", channel.Namespace,
			"name", channel.Name, "reason", m.err.Error())
		var failed v1alpha1.TiktokChannel
		failed.Namespace, failed.Name = channel.Namespace, channel.Name
		select {
		case r.failed <- event.GenericEvent{Object: &failed}:
		default: // the next event of the channel tries again
		}
	}
	close(m.ended)
	m.cancel()
}

// Reconcile implements reconcile.Reconciler.
func (r *Router) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var ch v1alpha1.TiktokChannel
	if err := r.reader.Get(ctx, req.NamespacedName, &ch); err != nil {
		if apierrors.IsNotFound(err) {
			r.mu.Lock()
			r.routed[req.NamespacedName].abandon()
			delete(r.routed, req.NamespacedName)
			r.mu.Unlock()
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the channel: %w", err)
	}
	if holds, err := r.holds(ctx, &ch); err != nil || !holds {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.Ensure(ctx, &ch)
}

// holds says whether the events of the channel's business are the channel's. While it gives way to another one, both name the business.
func (r *Router) holds(ctx context.Context, ch *v1alpha1.TiktokChannel) (bool, error) {
	holder, err := ChannelOf(ctx, r.reader, ch.Spec.AppRef.Name, ch.Status.BusinessID)
	return holder != nil && holder.UID == ch.UID, err
}

// Start implements manager.Runnable: it looks for events from time to time that wait although their channel is there.
func (r *Router) Start(ctx context.Context) error {
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		if err := r.moveLeft(ctx); err != nil {
			r.logger.V(1).Info("it is not known whether events wait for channels that are there; looking again", "reason", err.Error())
		}
	}, r.recheck, 0.5, true) // replicas need not do it at the same time
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: it runs in every replica, as the controller does.
func (*Router) NeedLeaderElection() bool { return false }

// moveLeft begins to move what waits for channels that are there.
func (r *Router) moveLeft(ctx context.Context) error {
	waits, err := r.log.Unrouted(ctx)
	if err != nil || waits == nil {
		return err
	}
	var channels v1alpha1.TiktokChannelList
	if err := r.reader.List(ctx, &channels, client.UnsafeDisableDeepCopy); err != nil { // they are only read
		return fmt.Errorf("listing channels: %w", err)
	}
	for i := range channels.Items {
		ch := &channels.Items[i]
		if ch.Status.BusinessID == "" || !waits(ch.Spec.AppRef.Name, ch.Status.BusinessID) {
			continue
		}
		holds, err := r.holds(ctx, ch)
		if err != nil {
			return err
		}
		if holds {
			r.begin(ctx, ch, r.routeOf(ch), true)
		}
	}
	return nil
}

// SetupWithManager registers the Router and its controller, which run in every replica.
func (r *Router) SetupWithManager(mgr manager.Manager) error {
	again := handler.Funcs{GenericFunc: func(
		_ context.Context, e event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
	) {
		queue.AddRateLimited(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.Object)})
	}}
	err := ctrl.NewControllerManagedBy(mgr).Named("unrouted-events").For(&v1alpha1.TiktokChannel{}).WatchesRawSource(source.Channel(r.failed, again)).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: routingsAtOnce}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of unrouted events: %w", err)
	}
	if err := mgr.Add(r); err != nil {
		return fmt.Errorf("setting up the search for unrouted events: %w", err)
	}
	return nil
}
