package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

const (
	// resolveFor is how long a sink's address and credentials are kept while deliveries succeed.
	resolveFor = 30 * time.Second
	// rereadInterval is how often at most they are read again because the sink refused them. Who is refused in between waits for that.
	rereadInterval = time.Second
	// askAgain is the first wait before an API server that did not answer is asked again. It doubles up to resolveFor.
	askAgain = time.Second
	// askLimit bounds the asking for what is known already: a delivery waits for it.
	askLimit = 2 * time.Second
)

// resolved is where the sink is, with its credentials, as they were last read. While the API server cannot be asked that stays true: what the guard
// refuses is refused all the same when it is dialled.
type resolved struct {
	mu sync.Mutex // held while it is found out, so that lanes do not ask at once; not where there is one to go on with
	of *config
	// target is nil where it is not known, or known to be none.
	target *sink.Target
	asking bool
	// at is when the API server was last asked and answered.
	at time.Time
	// failures is how often in a row it did not, and askAt when it is asked again.
	failures int
	askAt    time.Time
	problem  error
}

// unreadError says that the API server could not be asked where a sink is, or with what credentials, and after how long it is asked again.
type unreadError struct {
	err   error
	again time.Duration
}

func (e *unreadError) Error() string { return e.err.Error() }
func (e *unreadError) Unwrap() error { return e.err }

// errChanged says that the sink was changed meanwhile.
var errChanged = errors.New("the sink was changed")

// unresolved is what comes of an event for which there is no target.
func unresolved(err error) result {
	r := result{outcome: outcomeUnresolved, problem: err.Error()}
	var unread *unreadError
	var forbidden *sink.ForbiddenError
	switch {
	case errors.As(err, &unread):
		r.outcome, r.retryAfter = outcomeUnread, unread.again
		if errors.As(err, &forbidden) {
			r.forbidden = forbidden.Problem()
		}
	case errors.Is(err, context.Canceled), errors.Is(err, errChanged):
		r.outcome = outcomeCancelled
	}
	return r
}

// hasCredentials says whether a sink is sent any.
func hasCredentials(s *v1alpha1.Sink) bool {
	return s.SigningSecretRef != nil || s.BearerTokenSecretRef != nil
}

// resolve finds the sink's target, or keeps the one it has while that works, or while the API server cannot be asked. fresh says that it was read
// just now.
func (w *worker) resolve(ctx context.Context, c *config) (target *sink.Target, fresh bool, err error) {
	w.mu.Lock()
	failing := w.health.failing()
	w.mu.Unlock()
	t := &w.target
	t.mu.Lock()
	defer t.mu.Unlock()
	now := w.d.opts.Clock.Now()
	if t.of != c {
		t.of, t.target, t.failures, t.askAt = c, nil, 0, time.Time{}
	}
	if t.target != nil && (t.asking || !failing && now.Sub(t.at) < resolveFor) {
		return t.target, false, nil
	}
	err = w.ask(ctx, c, now)
	if errors.As(err, new(*unreadError)) && t.target != nil {
		return t.target, false, nil
	}
	return t.target, true, err
}

// reread reads a target anew that the sink refused, unless somebody has since, and not before it is time. Where it cannot be read, nobody knows
// whether the refusal still holds.
func (w *worker) reread(ctx context.Context, c *config, refused *sink.Target) (*sink.Target, error) {
	for ctx.Err() == nil {
		target, wait, err := w.tryReread(ctx, c, refused)
		if wait <= 0 {
			return target, err
		}
		w.d.sleep(ctx, wait)
	}
	return nil, context.Canceled
}

// tryReread is reread, if it is time; else it says how long that is to wait.
func (w *worker) tryReread(ctx context.Context, c *config, refused *sink.Target) (*sink.Target, time.Duration, error) {
	t := &w.target
	t.mu.Lock()
	defer t.mu.Unlock()
	now := w.d.opts.Clock.Now()
	wait := t.at.Add(rereadInterval).Sub(now)
	switch {
	case t.of != c:
		return nil, 0, errChanged
	case t.target != nil && t.target != refused:
		return t.target, 0, nil
	case t.asking:
		return nil, rereadInterval, nil
	case wait > 0:
		return nil, wait, nil
	}
	err := w.ask(ctx, c, now)
	return t.target, 0, err
}

// ask asks the API server for the sink's target, unless it has just failed to answer. w.target.mu is held, but not during the asking
// where there is a target to go on with.
func (w *worker) ask(ctx context.Context, c *config, now time.Time) error {
	t := &w.target
	if wait := t.askAt.Sub(now); wait > 0 {
		return &unreadError{t.problem, wait}
	}
	limit, known := c.sink.Timeout(), t.target != nil
	if known {
		limit = min(limit, askLimit)
		t.asking = true
		t.mu.Unlock()
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: w.channel.Namespace, Name: w.channel.Name}}
	target, err := sink.Resolve(limited, w.d.opts.Reader, ch, c.sink)
	if known {
		t.mu.Lock()
		t.asking = false
	}
	switch {
	case ctx.Err() != nil:
		return context.Canceled
	case t.of != c:
		return errChanged
	case err == nil, sink.WaitsForPerson(err):
		if t.failures > 0 {
			w.logger().Info("what a sink needs can be read again")
		}
		t.target, t.at, t.failures, t.askAt = nil, now, 0, time.Time{}
		if err == nil {
			t.target = &target
		}
		return err
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		t.target = nil // what may no longer be read is no longer used
	}
	t.failures++
	again := backoff(t.failures, askAgain, resolveFor, 0, w.d.random())
	t.askAt = w.d.opts.Clock.Now().Add(again)
	t.problem = fmt.Errorf("what the sink needs cannot be read: %w", err)
	if t.failures == 1 {
		w.logger().Info("what a sink needs cannot be read; what was read before serves, or its events wait",
			"known", t.target != nil, "reason", err.Error())
	}
	return &unreadError{t.problem, again}
}
