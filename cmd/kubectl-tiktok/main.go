// Command kubectl-tiktok is a kubectl plugin: kubectl tiktok shows channels.
package main

import (
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(plugin.Main(ctrl.SetupSignalHandler(), version, os.Args[1:], os.Stdout, os.Stderr))
}
