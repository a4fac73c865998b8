package deadletters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

func replay(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) *cobra.Command {
	var all bool
	var which selection
	var form output.Flag
	cmd := &cobra.Command{
		Use:   "replay NAME [ID...]",
		Short: "Deliver events of dead letters anew: those that are named, those of a sink or a time, or all",
		Args:  cobra.MinimumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return t.CompleteChannel(cmd, args, word)
			}
			return target.Complete(func(ctx context.Context, args []string) ([]string, error) {
				key, err := t.Key(args[0])
				if err != nil {
					return nil, err
				}
				return g.IDs(ctx, gateway.Path(key, "dead-letters"))
			})(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, query := args[1:], which.query()
			if chosen := all || len(query) > 0; (len(ids) > 0) == chosen {
				return errors.New("say which dead letters: either their ids, or --sink, --since and --until, or --all")
			}
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			if len(query) == 0 {
				query.Set("all", "true")
			}
			var total int
			err = g.With(cmd.Context(), func(s *gateway.Session) (err error) {
				total, err = revive(cmd.Context(), s, paths(key, ids, query))
				return err
			})
			if err != nil {
				return target.Failed(fmt.Errorf("after %d were replayed: %w", total, err))
			}
			if form.Structured() {
				return target.Failed(form.Print(cmd.OutOrStdout(), map[string]int{"replayed": total}))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d replayed\n", total)
			return target.Failed(err)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "All of the channel")
	which.addFlags(cmd, t, now, "All of this sink", "All that died at or after")
	form.Add(cmd, "json or yaml: how many were replayed. Default: a sentence", output.JSON, output.YAML)
	g.AddFlags(cmd)
	return cmd
}

// paths are the calls that replay dead letters: one for each that is named, or one for those that a query chooses.
func paths(key client.ObjectKey, ids []string, query url.Values) []string {
	if len(ids) == 0 {
		return []string{gateway.Path(key, "dead-letters", "replay") + "?" + query.Encode()}
	}
	var all []string
	for _, id := range ids {
		all = append(all, gateway.Path(key, "dead-letters", id, "replay"))
	}
	return all
}

// revive makes the calls, each until nothing is left of it, and counts.
func revive(ctx context.Context, s *gateway.Session, paths []string) (total int, err error) {
	for _, path := range paths {
		for more := true; more; {
			var answer struct {
				Replayed int
				More     bool
			}
			if err := s.Do(ctx, http.MethodPost, path, nil, &answer); err != nil {
				return total, err
			}
			total, more = total+answer.Replayed, answer.More && answer.Replayed > 0
		}
	}
	return total, nil
}

func replayEvents(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) *cobra.Command {
	var which selection
	var form output.Flag
	cmd := &cobra.Command{
		Use:               "replay-events NAME [ID...] --sink SINK",
		Short:             "Deliver stored events anew to one sink, whether it had them or not: those of a time, or those of CloudEvents' ids",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := which.query()
			if len(args) == 1 && !query.Has("since") {
				return errors.New("say which events: their ids, or --since, with or without --until")
			}
			for _, id := range args[1:] {
				query.Add("id", id)
			}
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var answer struct {
				Replay string `json:"replay"`
				Events int    `json:"events"`
			}
			err = g.With(cmd.Context(), func(s *gateway.Session) error {
				return s.Do(cmd.Context(), http.MethodPost, gateway.Path(key, "events", "replay")+"?"+query.Encode(), nil, &answer)
			})
			if err != nil {
				return target.Failed(err)
			}
			if form.Structured() {
				return target.Failed(form.Print(cmd.OutOrStdout(), answer))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events are on their way to %s\n", answer.Events, which.sink)
			return target.Failed(err)
		},
	}
	which.addFlags(cmd, t, now, "The sink that gets them", "All that were stored at or after")
	_ = cmd.MarkFlagRequired("sink") // it is there
	form.Add(cmd, "json or yaml, as the private API answers. Default: a sentence", output.JSON, output.YAML)
	g.AddFlags(cmd)
	return cmd
}
