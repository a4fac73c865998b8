// Command tiktok-simulator stands in for TikTok: for demonstrations, tests and staging.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// shutdownTimeout is how long calls that are under way may take when the process is told to end.
const shutdownTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tiktok-simulator:", err)
		os.Exit(1) //nolint:gocritic // the process ends; nothing is left to stop
	}
}

// run serves until ctx ends. It tells its addresses on stdout and logs to stderr.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) error {
	o, err := parse(args, lookup, stderr)
	if err != nil {
		return err
	}
	o.simulator.Log = logr.FromSlogHandler(slog.NewTextHandler(stderr, nil))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.bindAddress)
	if err != nil {
		return fmt.Errorf("listening on --bind-address: %w", err)
	}
	sim := simulator.New(o.simulator)
	defer sim.Close()
	server := &http.Server{
		Handler:           sim,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.NewTextHandler(stderr, nil), slog.LevelWarn),
	}
	base := "http://" + listener.Addr().String()
	_, _ = fmt.Fprintf(stdout, "TikTok simulator listening on %[1]s\n"+
		"  API        %[1]s/open_api/v1.3/\n  authorize  %[1]s/v2/auth/authorize\n  admin      %[1]s/admin/\n  user       %[1]s/user\n", base)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	sim.Close() // answers that hang end first: they would use up the time
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}
