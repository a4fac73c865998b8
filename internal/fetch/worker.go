package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const (
	// attemptTimeout bounds one attempt at a job. What it has read by then is not read again by the next.
	attemptTimeout = 90 * time.Second
	// patience is how many attempts are made at a job that finds nothing: lists may be behind.
	patience = 6
	// maxLag is how long conversations are looked for in which a message was looked for in vain.
	maxLag = time.Hour
	// lagInterval is how often that is done: in a busy channel, an hour of conversations takes many calls.
	lagInterval = 10 * time.Second
	// lookback is how far back messages of a conversation are looked for of which the log has none. It is shorter than the log's memory, whatever
	// its settings: what was delivered and forgotten must not seem new.
	lookback = 48 * time.Hour
	// margin is how much older than the event a message may be, and be looked for.
	margin = 2 * time.Minute
	// horizon is how far back messages are looked for: over the three days for which TikTok repeats a webhook, and the three for which a job is
	// tried. What the log has of that time is known to it.
	horizon = 7 * 24 * time.Hour
)

// EventLog is what the Worker needs of the event log. *eventlog.Log is one.
type EventLog interface {
	WorkJobs(ctx context.Context, kind string, handle func(context.Context, eventlog.Job) error) error
	Events(ctx context.Context, q eventlog.Query) (events []*eventlog.Stored, more bool, err error)
	Append(ctx context.Context, r eventlog.Record) (eventlog.Result, error)
}

// Apps makes clients of TikTok. *appclient.Pool is one.
type Apps interface {
	Client(ctx context.Context, app *v1alpha1.TiktokApp) (*tiktok.Client, error)
	Limiter(app *v1alpha1.TiktokApp) *tiktok.Limiter
}

// Tokens reads token Secrets. *tokenstore.Store is one.
type Tokens interface {
	GetLive(ctx context.Context, ch *v1alpha1.TiktokChannel) (*tokenstore.Snapshot, error)
}

// Options of a Worker.
type Options struct {
	Log EventLog
	// Reader reads apps and channels from the cache; channels by ingest.BusinessIndex.
	Reader client.Reader
	Apps   Apps
	Tokens Tokens
	// Clock; nil means the real one.
	Clock clock.Clock
	// Registerer of the metrics; nil means none.
	Registerer prometheus.Registerer
	Logger     logr.Logger
}

// Worker does the jobs of kind ingest.JobFetch.
type Worker struct {
	opts     Options
	counters *counters
	channels channels
	tries    tries

	mu     sync.Mutex
	shares map[string]*tiktok.Limiter // by app id
}

// New makes a Worker.
func New(opts Options) (*Worker, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger.GetSink() == nil {
		opts.Logger = logr.Discard()
	}
	c, err := newCounters(opts.Registerer)
	if err != nil {
		return nil, err
	}
	return &Worker{opts: opts, counters: c, shares: map[string]*tiktok.Limiter{}}, nil
}

// Start implements manager.Runnable: it works until the context ends.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.opts.Log.WorkJobs(ctx, ingest.JobFetch, w.handle); err != nil {
		return fmt.Errorf("fetching messages: %w", err)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: all replicas share the jobs.
func (*Worker) NeedLeaderElection() bool { return false }

// outcome of an attempt. again says that the job is to be tried again, after the given time or, if that is zero, when jobs are.
type outcome struct {
	result result
	again  bool
	after  time.Duration
	err    error
}

// handle makes one attempt at a job.
func (w *Worker) handle(ctx context.Context, job eventlog.Job) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	made := w.tries.get(job)
	o := w.attempt(attempt, job, &made)
	if ctx.Err() != nil && o.again {
		return ctx.Err() // nothing is known of the job: the process ends
	}
	log := w.opts.Logger.WithValues("app", job.App, "business", job.BusinessID, "event", job.ID, "attempt", made.attempts, "result", o.result)
	if o.again {
		if o.after <= 0 {
			o.after = made.delay()
		}
		if job.Ends(w.opts.Clock.Now(), o.after) {
			o.again = false
			if o.result != resultGone {
				o.result = resultExpired
			}
		}
	}
	if o.again {
		w.tries.put(job, made)
	} else {
		w.tries.drop(job)
	}
	if o.result == resultTurnedAway { // no attempt was made
		return &eventlog.RetryError{After: o.after, Err: o.err}
	}
	w.counters.fetches.WithLabelValues(string(o.result)).Inc()
	switch {
	case o.again:
		log.V(1).Info("A message of a user in the EEA, Switzerland or the UK is not fetched yet", "after", o.after.String(), "reason", text(o.err))
		return &eventlog.RetryError{After: o.after, Err: fmt.Errorf("%s: %w", o.result, o.err)}
	case o.err == nil:
		log.V(1).Info("Fetched what a webhook did not hold")
	default:
		log.Info("A message of a user in the EEA, Switzerland or the UK could not be fetched, and is given up; the event that told of it remains",
			"reason", text(o.err))
	}
	return nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// attempt finds out whose job it is, and looks for its message if it is the channel's turn. made is what was done for the job, and then what has
// been done.
func (w *Worker) attempt(ctx context.Context, job eventlog.Job, made *try) outcome {
	gone := func(why string) outcome { // or this replica's cache is behind, for as long as the API server is away
		made.attempts++
		return outcome{result: resultGone, again: true, err: errors.New(why)}
	}
	ch, err := ingest.ChannelOf(ctx, w.opts.Reader, job.App, job.BusinessID)
	if err != nil {
		made.attempts++
		return outcome{result: resultFailed, again: true, err: err}
	}
	if ch == nil || string(ch.UID) != job.ChannelUID {
		w.channels.forget(job.ChannelUID)
		return gone("the channel does not hold the business any more")
	}
	var app v1alpha1.TiktokApp
	if err := w.opts.Reader.Get(ctx, types.NamespacedName{Name: job.App}, &app); apierrors.IsNotFound(err) {
		return gone("the TiktokApp does not exist any more")
	} else if err != nil {
		made.attempts++
		return outcome{result: resultFailed, again: true, err: fmt.Errorf("reading the TiktokApp: %w", err)}
	}
	state := w.channels.get(job.ChannelUID)
	if made.passes < 0 {
		made.passes = state.begun.Load()
	}
	entered, comeBack := state.enter()
	if !entered {
		return outcome{result: resultTurnedAway, again: true, after: comeBack, err: errors.New("another job of the channel is under way")}
	}
	defer state.leave()
	p := &pass{Worker: w, job: job, try: *made, want: wantedBy(job.Record, w.opts.Clock.Now()), app: &app, channel: ch, state: state}
	o := p.attempt(ctx)
	p.try.attempts++
	*made = p.try
	return o
}

// share is the part of the app's rate that fetches take, so that they leave room for refreshes, which another process makes at the same rate.
func (w *Worker) share(app *v1alpha1.TiktokApp) *tiktok.Limiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.shares[app.Spec.AppID]
	if l == nil {
		l = tiktok.NewLimiter(app.RequestsPerSecond()/2, w.opts.Clock)
		w.shares[app.Spec.AppID] = l
	}
	l.SetRate(app.RequestsPerSecond() / 2)
	return l
}
