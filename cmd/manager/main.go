// Command manager reconciles TiktokApps and TiktokChannels: it keeps webhooks registered and tokens fresh.
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
	os.Exit(process.Main(ctrl.SetupSignalHandler(), "manager", os.Args[1:], os.Stderr, start))
}

func start(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
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
