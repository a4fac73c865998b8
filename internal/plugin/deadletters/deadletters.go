// Package deadletters lists what sinks did not take, and has it delivered anew.
package deadletters

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Commands are the subcommands of this package.
func Commands(t *target.Target, g *gateway.Gateway) []*cobra.Command {
	return []*cobra.Command{list(t, g), replay(t, g)}
}

type deadLetter struct {
	ID, Sink, Reason, Problem string
	Attempts                  int
	DiedAt                    string
	Event                     struct{ Type, Subject string }
}

func list(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var output gateway.Output
	var sink string
	cmd := &cobra.Command{
		Use:               "deadletters NAME",
		Short:             "List the events that a channel's sinks did not take, the oldest first",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			path := gateway.Path(key, "dead-letters")
			if sink != "" {
				path += "?" + url.Values{"sink": {sink}}.Encode()
			}
			var answer struct {
				Items    []deadLetter
				Continue string
			}
			return target.Failed(output.Show(cmd, g, path, &answer, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, "ID\tSINK\tDIED\tATTEMPTS\tREASON\tEVENT\tPROBLEM")
				for _, d := range answer.Items {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%q\n", d.ID, d.Sink, d.DiedAt, d.Attempts, d.Reason, d.Event.Type, d.Problem)
				}
				if answer.Continue != "" {
					_, _ = fmt.Fprintln(w, "… and more: these are the oldest 100")
				}
			}))
		},
	}
	cmd.Flags().StringVar(&sink, "sink", "", "Only those of this sink")
	output.AddFlags(cmd.Flags())
	g.AddFlags(cmd.Flags())
	return cmd
}

func replay(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var all bool
	var sink string
	cmd := &cobra.Command{
		Use:               "replay NAME [ID...]",
		Short:             "Deliver events of dead letters anew: those that are named, those of a sink, or all",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := args[1:]
			if (len(ids) > 0) == (all || sink != "") {
				return errors.New("say which dead letters: their ids, --sink or --all")
			}
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			return target.Failed(run(cmd, g, paths(key, ids, sink)))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "All of the channel")
	cmd.Flags().StringVar(&sink, "sink", "", "All of this sink")
	g.AddFlags(cmd.Flags())
	return cmd
}

func paths(key client.ObjectKey, ids []string, sink string) []string {
	if len(ids) == 0 {
		query := url.Values{"all": {"true"}}
		if sink != "" {
			query = url.Values{"sink": {sink}}
		}
		return []string{gateway.Path(key, "dead-letters", "replay") + "?" + query.Encode()}
	}
	var all []string
	for _, id := range ids {
		all = append(all, gateway.Path(key, "dead-letters", id, "replay"))
	}
	return all
}

func run(cmd *cobra.Command, g *gateway.Gateway, paths []string) error {
	total := 0
	for _, path := range paths {
		for more := true; more; {
			var answer struct {
				Replayed int
				More     bool
			}
			if err := g.Do(cmd.Context(), http.MethodPost, path, nil, &answer); err != nil {
				return fmt.Errorf("after %d were replayed: %w", total, err)
			}
			total, more = total+answer.Replayed, answer.More && answer.Replayed > 0
		}
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d replayed\n", total)
	return err
}
