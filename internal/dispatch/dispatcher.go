package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/tracing"
)

// EventLog is what the Dispatcher needs of the event log. *eventlog.Log is one.
type EventLog interface {
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	// Since is the position of a time ago, by the log's clock.
	Since(ctx context.Context, channelUID string, ago time.Duration) (eventlog.Position, error)
	Pending(ctx context.Context, channelUID string, after eventlog.Position) (eventlog.Backlog, error)
	OldestSequence(ctx context.Context) (uint64, error)
	CountLane(ctx context.Context, channelUID, lane string, first, last uint64) (uint64, error)
	AddDeadLetter(ctx context.Context, d eventlog.DeadLetter) error
	Watch(ctx context.Context, ready func(), notify func(channelUID string, sequence uint64)) error
	Sinks(ctx context.Context) ([]eventlog.SinkState, error)
	SaveSink(ctx context.Context, s eventlog.SinkState) error
	DeleteSink(ctx context.Context, channelUID, sink string) error
	// Epoch names the log: it changes when the log was lost and made anew.
	Epoch() int64
}

const (
	// newSinkOverlap is how far back a new sink begins: events may have been stored by another process that knew the channel earlier.
	newSinkOverlap = 5 * time.Minute
	// saveInterval is how often a busy sink's position is stored. After a crash, what was delivered since is delivered again.
	saveInterval = 100 * time.Millisecond
	// watchRetry is the wait before the log is watched again after that failed.
	watchRetry = time.Second
	// DefaultShutdownGrace is how long deliveries that are under way may take when the Dispatcher stops: within what the process has for its end.
	DefaultShutdownGrace = 35 * time.Second
	// DefaultMaxInFlight takes about 40 KiB and a socket each: it is what a few sinks with many channels keep busy without waiting.
	DefaultMaxInFlight = 1024
	// DefaultMaxHeldBytes is small beside what the embedded event log takes.
	DefaultMaxHeldBytes = 32 << 20
	// auditInterval is how often it is looked for events that ended before their delivery.
	auditInterval = time.Minute
	// readAtOnce is how many sinks read ahead at once, half of them of one host. The embedded event log answers one read after the other, and one
	// for a channel among thousands takes it tens of milliseconds: of those that all ask at once, most would give up before it is their turn.
	readAtOnce = 8
	// countAtOnce is how many backlogs are counted at once: each may take the event log tens of milliseconds.
	countAtOnce = 4
)

// Options of a Dispatcher.
type Options struct {
	Log EventLog
	// Ownership divides the channels where several replicas share the log, which must be a SharedLog; nil means that this one serves all.
	Ownership Ownership
	// Reader reads Services and Secrets from the API server, uncached.
	Reader client.Reader
	// AllowPrivateSinks lets sinks with a uri be loopback and private addresses, and Services lead anywhere.
	AllowPrivateSinks bool
	// ServiceTransport reaches Services; nil means the network.
	ServiceTransport http.RoundTripper
	// UserAgent of the requests; "" means "tiktok-operator".
	UserAgent string
	// MaxInFlight is how many deliveries may be under way in this process, half of it at one host; 0 means DefaultMaxInFlight.
	MaxInFlight int
	// MaxHeldBytes is how much of stored events may be held in memory so as to be delivered next; 0 means DefaultMaxHeldBytes.
	MaxHeldBytes int
	// ShutdownGrace; 0 means DefaultShutdownGrace.
	ShutdownGrace time.Duration
	// Clock; nil means the real one.
	Clock clock.WithDelayedExecution
	// Registerer of the metrics; nil means none.
	Registerer prometheus.Registerer
	// Tracer records attempts; nil records none.
	Tracer *tracing.Tracer
	Logger logr.Logger
}

// Dispatcher delivers events. Start runs it; Apply and Forget, which its controller calls, tell it which channels there are.
type Dispatcher struct {
	opts             Options
	public, services *http.Client
	metrics          *metrics
	random           func() float64
	shared           *shared // nil without other replicas
	// places are for deliveries under way, readers for what is read ahead, memory is for what is held, in bytes.
	places, readers, memory *quota
	counting                chan struct{}

	// loaded is closed once the stored positions are known.
	loaded chan struct{}

	mu       sync.Mutex
	running  bool // workers may work
	attempts context.Context
	group    sync.WaitGroup
	workers  map[types.NamespacedName]map[sinkKey]*worker
	byUID    map[string][]*worker
	// stored are the positions of sinks for which there is no worker yet; under unnamed, those that do not say which channel's they are, until Apply
	// or ForgetUnnamed learns it from its UID.
	stored map[types.NamespacedName]map[sinkKey]eventlog.SinkState
	// awaited are sinks that have no position yet because the log could not be asked for one, and when they were first seen.
	awaited map[types.NamespacedName]map[sinkKey]time.Time
	// abandoned are sinks that are gone, whose states another replica was to forget.
	abandoned map[sinkKey]struct{}
}

// unnamed stands in Known for positions that do not say which channel's they are: ForgetUnnamed is for them.
var unnamed types.NamespacedName

// sinkKey is a sink of one incarnation of a channel.
type sinkKey struct {
	uid  types.UID
	sink string
}

// New makes a Dispatcher.
func New(opts Options) (*Dispatcher, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "tiktok-operator"
	}
	if opts.ShutdownGrace == 0 {
		opts.ShutdownGrace = DefaultShutdownGrace
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	if opts.MaxInFlight == 0 {
		opts.MaxInFlight = DefaultMaxInFlight
	}
	if opts.MaxHeldBytes == 0 {
		opts.MaxHeldBytes = DefaultMaxHeldBytes
	}
	public, services := newTransports(opts.AllowPrivateSinks, max(opts.MaxInFlight/2, 1))
	if opts.ServiceTransport == nil {
		opts.ServiceTransport = services
	}
	d := &Dispatcher{
		opts: opts, public: newClient(public), services: newClient(opts.ServiceTransport),
		places: newQuota(opts.MaxInFlight), readers: newQuota(readAtOnce), memory: newQuota(opts.MaxHeldBytes),
		counting: make(chan struct{}, countAtOnce), random: rand.Float64, loaded: make(chan struct{}),
		workers: map[types.NamespacedName]map[sinkKey]*worker{}, byUID: map[string][]*worker{},
		stored: map[types.NamespacedName]map[sinkKey]eventlog.SinkState{}, abandoned: map[sinkKey]struct{}{},
		awaited: map[types.NamespacedName]map[sinkKey]time.Time{},
	}
	var err error
	if d.shared, err = newShared(&opts); err != nil {
		return nil, err
	}
	if d.shared != nil {
		d.shared.owner.Listen(d.yield)
	}
	d.metrics, err = newMetrics(opts.Registerer, d)
	return d, err
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica dispatches.
func (*Dispatcher) NeedLeaderElection() bool { return false }

// Start loads the positions, then delivers until the context ends. It returns when no delivery is under way any more and all positions are
// stored; the event log must stay open until then.
func (d *Dispatcher) Start(ctx context.Context) error {
	for {
		err := d.load(ctx)
		var unavailable *eventlog.UnavailableError
		switch {
		case err == nil:
		case ctx.Err() != nil: // the process ends before anything began
			return nil
		case errors.As(err, &unavailable): // as while the servers elect a leader
			d.opts.Logger.Error(err, "deliveries cannot begin; trying again")
			d.pause(ctx)
			continue
		default:
			return err
		}
		break
	}
	// Attempts outlive ctx by the grace.
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	close(d.loaded)

	var owning sync.WaitGroup
	if d.shared != nil {
		owning.Go(func() { d.own(ctx) })
	}
	owning.Go(func() { d.audit(ctx) })
	d.watch(ctx, attempts)
	owning.Wait()

	d.mu.Lock()
	d.running = false
	d.mu.Unlock()
	grace := d.opts.Clock.AfterFunc(d.opts.ShutdownGrace, cancel)
	defer grace.Stop()
	for _, w := range d.allWorkers() {
		w.pause()
	}
	d.group.Wait()
	return nil
}

// load reads the stored positions.
func (d *Dispatcher) load(ctx context.Context) error {
	states, err := d.opts.Log.Sinks(ctx)
	if err != nil {
		return fmt.Errorf("reading the positions of sinks: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range states {
		channel := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
		d.store(channel, sinkKey{types.UID(s.ChannelUID), s.Sink}, s)
	}
	return nil
}

// watch passes on what the log tells, until the context ends. Workers may work once the log is watched.
func (d *Dispatcher) watch(ctx, attempts context.Context) {
	for ctx.Err() == nil {
		err := d.opts.Log.Watch(ctx, func() {
			d.mu.Lock()
			d.running, d.attempts = true, attempts
			d.mu.Unlock()
			d.renew()
			for _, w := range d.allWorkers() {
				w.untold()
			}
		}, d.notify)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, eventlog.ErrRenewed) {
			d.opts.Logger.Info("the event log was lost and made anew; deliveries go on at its first event")
			continue
		}
		d.opts.Logger.Error(err, "the event log cannot be watched; trying again")
		d.pause(ctx)
	}
}

// pause waits before the event log is tried again.
func (d *Dispatcher) pause(ctx context.Context) { d.sleep(ctx, watchRetry) }

// sleep waits, unless the context ends before.
func (d *Dispatcher) sleep(ctx context.Context, wait time.Duration) {
	over := make(chan struct{})
	timer := d.opts.Clock.AfterFunc(wait, func() { close(over) })
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-over:
	}
}

func (d *Dispatcher) notify(channelUID string, sequence uint64) {
	d.mu.Lock()
	workers := d.byUID[channelUID]
	d.mu.Unlock()
	for _, w := range workers {
		if sequence == 0 {
			w.untold()
		} else {
			w.hint(sequence)
		}
	}
}

// begin admits a worker's goroutine; the context is its attempts'. It fails while the Dispatcher does not run.
func (d *Dispatcher) begin() (context.Context, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.running {
		return nil, false
	}
	d.group.Add(1)
	return d.attempts, true
}

func (d *Dispatcher) stopping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.running
}

func (d *Dispatcher) allWorkers() []*worker {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*worker
	for _, ofChannel := range d.workers {
		for _, w := range ofChannel {
			all = append(all, w)
		}
	}
	return all
}

// Known lists the channels that have positions or workers, with an empty name among them if there are positions that do not say whose they are.
// Before Start has loaded them it waits.
func (d *Dispatcher) Known(ctx context.Context) ([]types.NamespacedName, error) {
	if err := d.waitLoaded(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[types.NamespacedName]bool{}
	for channel := range d.stored {
		seen[channel] = true
	}
	for channel := range d.workers {
		seen[channel] = true
	}
	var known []types.NamespacedName
	for channel := range seen {
		known = append(known, channel)
	}
	return known, nil
}

func (d *Dispatcher) waitLoaded(ctx context.Context) error {
	select {
	case <-d.loaded:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("the dispatcher has not started"), context.Cause(ctx))
	}
}
