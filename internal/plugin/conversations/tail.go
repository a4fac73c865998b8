package conversations

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/moment"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

const (
	// firstPause and longestPause are between two attempts to listen; each is twice as long as the one before.
	firstPause, longestPause = time.Second, 30 * time.Second
	// silence ends a stream that nothing has come through for so long: the API writes something every 15 seconds, and a tunnel to a node that
	// is gone says nothing of it.
	silence = time.Minute
)

func tail(t *target.Target, g *gateway.Gateway, now clock.Clock) *cobra.Command {
	since := moment.New(now)
	cmd := &cobra.Command{
		Use:   "tail NAME",
		Short: "Follow a channel's events, each as a line of JSON (a CloudEvent)",
		Long: "Follow a channel's events, each as a line of JSON (a CloudEvent). When the connection ends, as at a rollout of the webhook deployment, " +
			"another is made, and goes on after the last event that was printed.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			f := &follower{
				gateway: g, clock: now, path: gateway.Path(key, "events"), query: url.Values{}, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(),
			}
			since.AddTo(f.query, "since")
			return target.Failed(f.follow(cmd.Context()))
		},
	}
	cmd.Flags().Var(since, "since", "Begin with the events of this time, such as 2026-08-01T10:00:00Z, or 1h for so long ago. Default: now")
	g.AddFlags(cmd)
	return cmd
}

// follower listens to a channel's events over as many connections as it takes.
type follower struct {
	gateway     *gateway.Gateway
	clock       clock.Clock
	path        string
	query       url.Values
	out, errOut io.Writer
	// last is the id of the event that was printed last.
	last string
	// began: the API has let it listen before.
	began bool
}

// follow listens until a person ends it, which is no error, or until listening again would not help.
func (f *follower) follow(ctx context.Context) error {
	pause := firstPause
	for {
		before := f.last
		began := f.clock.Now()
		err := f.listen(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // a person ended it
		case err != nil && (!f.began || final(err)):
			return err
		case f.last != before || f.clock.Since(began) > longestPause:
			pause = firstPause // it was a good connection
		}
		if err == nil {
			err = errors.New("the stream ended")
		}
		_, _ = fmt.Fprintf(f.errOut, "%v; listening again in %s\n", err, pause)
		timer := f.clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
		pause = min(2*pause, longestPause)
	}
}

// listen prints events until the connection ends. Each has a token of its own, and leads to a pod that is ready now.
func (f *follower) listen(ctx context.Context) error {
	return f.gateway.With(ctx, func(s *gateway.Session) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		resp, err := s.Stream(ctx, f.path+"?"+f.query.Encode(), f.last)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		f.remember(resp)
		watched := &watchedBody{Reader: resp.Body, heard: make(chan struct{}, 1)}
		go watched.watch(ctx, f.clock, cancel)
		f.last, err = events(watched, f.out, f.last)
		if ctx.Err() != nil { // however the reading has taken it
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		return nil
	})
}

// remember notes when the first connection began, by the API's clock: the next one begins there, if no event came until then, so that none is missed.
func (f *follower) remember(resp *http.Response) {
	if f.began {
		return
	}
	f.began = true
	if f.query.Has("since") {
		return
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		at = f.clock.Now()
	}
	f.query.Set("since", at.UTC().Format(time.RFC3339))
}

// final says that listening again would end in the same way.
func final(err error) bool {
	var refused *gateway.ProblemError
	if errors.As(err, &refused) {
		return !refused.Passing()
	}
	return errors.As(err, new(*outputError)) || errors.Is(err, bufio.ErrTooLong) || apierrors.IsForbidden(err)
}

// watchedBody tells of each reading that brought something.
type watchedBody struct {
	io.Reader
	heard chan struct{}
}

// Read implements io.Reader.
func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		select {
		case w.heard <- struct{}{}:
		default: // it is known already
		}
	}
	return n, err
}

// watch ends a stream that has gone silent.
func (w *watchedBody) watch(ctx context.Context, c clock.Clock, end context.CancelCauseFunc) {
	timer := c.NewTimer(silence)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.heard:
			timer.Reset(silence)
		case <-timer.C():
			end(fmt.Errorf("nothing came for %s", silence))
			return
		}
	}
}
