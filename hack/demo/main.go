// Command demo shows the whole system in one terminal: a control plane, TikTok's simulator, the manager, the webhook deployment and an
// example sink. It takes a tour, checks each step, and stays up; with --once it ends with the tour's result. With --empty it takes no tour: a
// person, or a test of the documentation, begins with nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	log.SetLogger(logr.Discard()) // the processes have logs of their own; without one here, a stack trace says that there is none
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp), errors.Is(err, context.Canceled):
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	once := fs.Bool("once", false, "end after the tour, with its result")
	empty := fs.Bool("empty", false, "take no tour: leave it to a person, who finds everything running and no TiktokApp")
	env := fs.String("env", filepath.Join("bin", "demo.env"), "with --empty: the file that gets the addresses of everything, for shells")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tiktok-operator-demo-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	s := &stage{dir: dir, settings: settings{tokenLife: 45 * time.Second, logLevel: "info"}}
	defer func() {
		fmt.Println("\nStopping everything …")
		err = errors.Join(err, s.close())
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Println("The logs of the processes are kept in", filepath.Join(dir, "logs"))
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if *empty {
		s.tokenLife, s.person = 24*time.Hour, true
	}
	begun := time.Now()
	if err := s.open(ctx); err != nil {
		return err
	}
	if *empty {
		if err := errors.Join(s.furnish(ctx), s.tell(*env)); err != nil {
			return err
		}
		s.welcome(*env)
		<-ctx.Done()
		return nil
	}
	if err := tour(ctx, s); err != nil {
		return err
	}
	fmt.Printf("\nThe tour passed in %s.\n", time.Since(begun).Round(time.Second))
	if *once {
		return nil
	}
	s.invite()
	<-ctx.Done()
	return nil
}
