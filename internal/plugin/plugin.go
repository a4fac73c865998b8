// Package plugin is the kubectl plugin: its root command and its exit codes.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/authorize"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/bundle"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/conversations"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/deadletters"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/imports"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/refresh"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/status"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// Main runs the plugin and returns its exit code.
func Main(ctx context.Context, version string, args []string, out, errOut io.Writer) int {
	root := Command(version)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(errOut, "error: %v\n", target.Explain(err))
	if failed := new(target.FailedError); errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}

// Command is the root command.
func Command(version string) *cobra.Command {
	t := target.New()
	root := &cobra.Command{
		Use:               "kubectl-tiktok",
		Short:             "Authorize, watch and use TikTok channels",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tiktok"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	t.AddFlags(root.PersistentFlags())
	t.CompleteFlags(root)
	g := gateway.New(t)
	root.AddCommand(status.Command(t, g, clock.RealClock{}), authorize.Command(t, g), refresh.Command(t, clock.RealClock{}),
		imports.Command(t), bundle.Command(t, g, version, clock.RealClock{}), versionCommand(version))
	root.AddCommand(conversations.Commands(t, g, clock.RealClock{})...)
	root.AddCommand(deadletters.Commands(t, g, clock.RealClock{})...)
	addCompletion(root)
	return root
}

func versionCommand(version string) *cobra.Command {
	var form output.Flag
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if form.Structured() {
				return target.Failed(form.Print(cmd.OutOrStdout(), map[string]string{
					"version": version, "goVersion": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				}))
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return target.Failed(err)
		},
	}
	form.Add(cmd, "json or yaml: with Go's version and the platform. Default: the version", output.JSON, output.YAML)
	return cmd
}
