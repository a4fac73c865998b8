package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how long after the first signal another one counts as the same. timeout(1) sends one to a command and then to its whole group, and
// a shell's Ctrl-C reaches a command beside what kubectl passes on.
const sameSignal = time.Second

// untilInterrupted is done at the first SIGINT or SIGTERM: commands then end in order. What does not end so, a later signal ends at once.
func untilInterrupted() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	return ctx
}
