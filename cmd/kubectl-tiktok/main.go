// Command kubectl-tiktok is a kubectl plugin: kubectl tiktok shows channels.
package main

import (
	"os"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(plugin.Main(untilInterrupted(), version, os.Args[1:], os.Stdout, os.Stderr))
}
