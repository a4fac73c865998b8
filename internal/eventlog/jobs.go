package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/utils/clock"
)

const (
	jobsStream = "TIKTOK_JOBS"
	jobsPrefix = "tiktok.jobs."

	// JobMaxAge is how long a job is tried. It is also how long a job that is added again is recognised, while the server keeps running.
	JobMaxAge = 72 * time.Hour
	// defaultJobAckWait is after how long without a sign of life a job counts as abandoned, and goes to somebody else.
	defaultJobAckWait = 30 * time.Second
	// jobsAtOnce is how many jobs of a kind one process works on.
	jobsAtOnce = 16
	// jobPause is the wait before the next try where the server cannot be asked for jobs.
	jobPause = time.Second
	// A job that failed without saying when to try again waits for jobMinDelay, then twice as long each time, up to jobMaxDelay.
	jobMinDelay = 5 * time.Second
	jobMaxDelay = 10 * time.Minute
)

// Job is work that an event entails.
type Job struct {
	// Kind says what is to be done; a short word. Required.
	Kind string
	// Record is the event. ID and ChannelUID are required.
	Record
	// Attempt counts from 1; 0 before the job is added.
	Attempt int
	// AddedAt is when it was added.
	AddedAt time.Time
}

// Ends says that a job reaches its age before it could be tried again after a wait, and will be gone then.
func (j Job) Ends(now time.Time, wait time.Duration) bool {
	return !j.AddedAt.IsZero() && now.Add(wait).After(j.AddedAt.Add(JobMaxAge))
}

// RetryError says when to try a job again.
type RetryError struct {
	After time.Duration
	Err   error
}

// Error implements error.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *RetryError) Unwrap() error { return e.Err }

// jobsConfig is the stream of jobs.
func jobsConfig(o *Options) jetstream.StreamConfig {
	maxBytes := int64(-1)
	if o.MaxBytes > 0 {
		maxBytes = max(o.MaxBytes/8, minUnroutedBytes)
	}
	return jetstream.StreamConfig{
		Name: jobsStream, Subjects: []string{jobsPrefix + "*.*"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		Description: "Work that events entail.", Retention: jetstream.WorkQueuePolicy,
		MaxAge: JobMaxAge, MaxBytes: maxBytes, Discard: jetstream.DiscardNew, Duplicates: JobMaxAge, AllowDirect: true,
	}
}

// AddJob stores a job, and returns once the server has acknowledged it. One of the same kind, event and channel that was added before is not
// added again while it is not done; one that is done is not either, unless the server was started again since: it keeps no jobs that are done, and
// recognises after its start what it keeps. So handle of WorkJobs must bear a job that was done, too. Errors are those of Append.
func (l *Log) AddJob(ctx context.Context, j Job) error {
	if err := j.validate(); err != nil {
		return err
	}
	if !isToken(j.Kind) || j.ChannelUID == "" {
		return fmt.Errorf("a job needs a kind and a channel, not %q and %q", j.Kind, j.ChannelUID)
	}
	if l.server != nil {
		if err := l.server.roomForID(true); err != nil {
			return err
		}
	}
	m := j.message()
	m.Subject = jobsPrefix + j.Kind + "." + j.ChannelUID
	m.Header.Set(jetstream.MsgIDHeader, digest("job", j.Kind, j.ChannelUID, j.ID))
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	if _, err := l.publish(ctx, m, jobsStream); err != nil {
		if size, limit := int64(m.Size()), l.conn.MaxPayload(); tooLarge(err, size, limit) {
			return &TooLargeError{Size: size, Limit: limit}
		}
		return classify("storing a job", err)
	}
	return nil
}

// WorkJobs gives the jobs of a kind to handle, several at a time, until the context ends, and returns when those under way have. All processes
// that work on a kind share its jobs. A job is done when handle returns nil. An error has it tried again: when a *RetryError says, else after a
// while that grows. So does the end of the process: handle must bear to see a job twice, and its context ends with ctx. A handle that would have to
// wait for another job gives the place back, by a *RetryError: one process works on few jobs of a kind at a time.
func (l *Log) WorkJobs(ctx context.Context, kind string, handle func(context.Context, Job) error) error {
	if !isToken(kind) {
		return fmt.Errorf("%q is no kind of jobs", kind)
	}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, jobsAtOnce)
	var consumer jetstream.Consumer
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, err := l.nextJob(ctx, kind, &consumer)
		if m == nil {
			<-slots
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				l.opts.Log.V(1).Info("asking for jobs failed; trying again", "kind", kind, "reason", err.Error())
				pause(ctx, jobPause)
			}
			continue
		}
		running.Add(1)
		go func() {
			defer func() { <-slots; running.Done() }()
			l.work(ctx, kind, m, handle)
		}()
	}
}

// nextJob waits for a job, for a while; nil if there is none. One is asked for when it can be worked on, so that none waits here while it
// counts as being worked on.
func (l *Log) nextJob(ctx context.Context, kind string, consumer *jetstream.Consumer) (jetstream.Msg, error) {
	if *consumer == nil {
		c, err := l.readJS.CreateOrUpdateConsumer(ctx, jobsStream, jetstream.ConsumerConfig{
			Durable: "jobs-" + kind, FilterSubject: jobsPrefix + kind + ".*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: l.opts.jobAckWait,
			MaxDeliver: -1, MaxAckPending: -1, // jobs that wait for their next attempt count too, and must not hold up others
		})
		if err != nil {
			return nil, &UnavailableError{Doing: "looking for jobs", Err: err}
		}
		*consumer = c
	}
	m, err := (*consumer).Next(jetstream.FetchContext(ctx))
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, nats.ErrTimeout):
		return nil, nil
	default:
		*consumer = nil // it may have been lost with a server
		return nil, &UnavailableError{Doing: "waiting for a job", Err: err}
	}
}

// work has one job done, and tells the server what became of it. If the server does not learn that, the job comes again.
func (l *Log) work(ctx context.Context, kind string, m jetstream.Msg, handle func(context.Context, Job) error) {
	job := Job{Kind: kind, Record: decodeRecord(m.Headers(), m.Data()), Attempt: 1}
	if meta, err := m.Metadata(); err == nil {
		job.Attempt, job.AddedAt = max(1, int(meta.NumDelivered)), meta.Timestamp
	}
	handled := make(chan struct{})
	var alive sync.WaitGroup
	alive.Go(func() { l.signs(m, handled) })
	err := handle(ctx, job)
	close(handled)
	alive.Wait()
	var retry *RetryError
	switch {
	case err == nil:
		ackCtx, cancel := l.bounded(context.WithoutCancel(ctx))
		defer cancel()
		err = m.DoubleAck(ackCtx)
	case ctx.Err() != nil:
		err = m.Nak() // another process may go on at once
	case errors.As(err, &retry):
		err = m.NakWithDelay(max(0, retry.After))
	default:
		err = m.NakWithDelay(JobDelay(job.Attempt))
	}
	if err != nil {
		l.opts.Log.V(1).Info("what became of a job is not recorded, so it will be tried again", "kind", kind, "reason", err.Error())
	}
}

// JobDelay is how long a job waits after so many attempts, if its error does not say.
func JobDelay(attempts int) time.Duration {
	return min(jobMinDelay<<min(max(attempts-1, 0), 10), jobMaxDelay)
}

// signs tells the server that a job is being worked on, until it has been handled.
func (l *Log) signs(m jetstream.Msg, handled <-chan struct{}) {
	ticker := clock.RealClock{}.NewTicker(l.opts.jobAckWait / 3) // the server's time is the machine's
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			_ = m.InProgress() // the next one may arrive
		case <-handled:
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := clock.RealClock{}.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}
