package inbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrNoClock says that this machine lets nobody move the clock of one process.
var ErrNoClock = errors.New("the clock of one process can be moved on Linux and amd64 only, where a process may write its children's memory")

const clockStep = 10 * time.Minute

// clockMoved moves the clock of the webhook binary, the one that it has embedded NATS by too, while it runs: ten minutes ahead, then twenty back,
// then to what is right. Ten minutes ahead nothing is refused. Ten minutes behind, everything is: it is signed in the future.
func clockMoved(ctx context.Context, s *scene) error {
	s.note("%s ahead, then as much behind for %s, then right again", clockStep, s.o.Away)
	if err := s.sender.reached(ctx, 1, 4); err != nil {
		return err
	}
	if err := moveClock(ctx, s.webhook.PID(), clockStep); err != nil {
		return err
	}
	if err := s.sender.reached(ctx, 1, 2); err != nil {
		return err
	}
	if refused := s.sender.refusals(http.StatusUnauthorized); refused > 0 {
		return fmt.Errorf("%d webhooks were refused although the clock was ahead", refused)
	}
	if err := moveClock(ctx, s.webhook.PID(), -clockStep); err != nil {
		return err
	}
	refused := func() bool { return s.sender.refusals(http.StatusUnauthorized) >= s.o.Conversations }
	if err := s.until(ctx, "webhooks to be refused", refused); err != nil {
		return err
	}
	if err := s.pass(ctx); err != nil {
		return err
	}
	return moveClock(ctx, s.webhook.PID(), 0)
}
