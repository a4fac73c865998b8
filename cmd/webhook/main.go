// Command webhook is the operator's listener: TikTok's webhooks and the authorization pages on the public side, the API for programs on the
// private side, and the dispatcher that delivers stored events to sinks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set by the build.
var version = "dev"

func main() {
	if err := start(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("webhook", flag.ContinueOnError)
	o.bind(fs)
	log, err := o.Parse(fs, args)
	if err != nil {
		return err
	}
	if err := o.validate(); err != nil {
		return err
	}
	return run(ctx, o, log)
}
