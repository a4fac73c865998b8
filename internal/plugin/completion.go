package plugin

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// completer is the program that kubectl runs to complete a word of kubectl tiktok. It must be on the PATH, executable, and named
// kubectl_complete-tiktok.
const completer = `#!/bin/sh
exec kubectl-tiktok __complete "$@"
`

// addCompletion adds cobra's own command for shells that complete kubectl-tiktok, and to it what kubectl needs.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.AddCommand(&cobra.Command{
			Use:   "kubectl",
			Short: "Print the program with which kubectl completes kubectl tiktok",
			Long: "Print the program with which kubectl completes kubectl tiktok, in every shell that completes kubectl. Put it on the PATH, executable and " +
				"named kubectl_complete-tiktok:\n\n  kubectl tiktok completion kubectl | sudo install /dev/stdin /usr/local/bin/kubectl_complete-tiktok",
			Args:              cobra.NoArgs,
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := io.WriteString(cmd.OutOrStdout(), completer)
				return target.Failed(err)
			},
		})
	}
}
