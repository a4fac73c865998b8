// Command webhook is the operator's listener: TikTok's webhooks and the authorization pages on the public side, the API for programs on the
// private side, and the dispatcher that delivers stored events to sinks.
package main

import (
	"context"
	"flag"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(process.Main(ctrl.SetupSignalHandler(), "webhook", os.Args[1:], os.Stderr, start))
}

func start(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "check" {
		return check(ctx, args[1:])
	}
	var o options
	fs := flag.NewFlagSet("webhook", flag.ContinueOnError)
	fs.SetOutput(os.Stdout) // of --help; errors are main's to tell
	o.bind(fs)
	log, err := o.Parse(fs, args)
	if err != nil {
		return err
	}
	if err := o.validate(); err != nil {
		return err
	}
	return run(ctx, &o, log)
}
