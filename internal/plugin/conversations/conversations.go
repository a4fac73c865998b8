// Package conversations reads and answers what users write: conversations, messages, send and tail.
package conversations

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Commands are the subcommands of this package.
func Commands(t *target.Target, g *gateway.Gateway, now clock.Clock) []*cobra.Command {
	return []*cobra.Command{list(t, g), messages(t, g), send(t, g), tail(t, g, now)}
}

func list(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var show gateway.List
	cmd := &cobra.Command{
		Use:               "conversations NAME",
		Short:             "List a channel's conversations, the newest first, and what may be sent in each",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var all []conversation
			return target.Failed(show.Show(cmd, g, gateway.Path(key, "conversations"), nil, &all, func(w io.Writer, wide bool) {
				more := ""
				if wide {
					more = "\tUSER ID\tFOLLOWS\tREAD UP TO"
				}
				_, _ = fmt.Fprintln(w, "CONVERSATION\tUSER\tUPDATED\tWINDOW\tLAST MESSAGE"+more)
				for _, c := range all {
					if wide {
						more = fmt.Sprintf("\t%s\t%s\t%s", c.userID(), c.follows(), local(c.ReadUpTo))
					}
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\n", c.ID, c.User.name(), local(c.UpdatedAt), c.Window, c.LastMessage.text(), more)
				}
			}))
		},
	}
	show.AddFlags(cmd)
	g.AddFlags(cmd)
	return cmd
}

func messages(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var show gateway.List
	cmd := &cobra.Command{
		Use:               "messages NAME CONVERSATION",
		Short:             "List a conversation's messages, the newest first, with their status",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: complete(t, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var all []message
			path := gateway.Path(key, "conversations", args[1], "messages")
			return target.Failed(show.Show(cmd, g, path, nil, &all, func(w io.Writer, wide bool) {
				more := ""
				if wide {
					more = "\tID\tSEND ID\tIDEMPOTENCY KEY\tKIND"
				}
				_, _ = fmt.Fprintln(w, "TIME\tFROM\tSTATUS\tMESSAGE\tEXPLANATION"+more)
				for _, m := range all {
					if wide {
						more = fmt.Sprintf("\t%s\t%s\t%s\t%s", dash(m.ID), dash(m.SendID), dash(m.IdempotencyKey), dash(m.Data.Kind))
					}
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\n", local(&m.Time), m.from(), dash(m.Status), m.text(), dash(m.Explanation), more)
				}
			}))
		},
	}
	show.AddFlags(cmd)
	g.AddFlags(cmd)
	return cmd
}

func send(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var text, once string
	var form output.Flag
	cmd := &cobra.Command{
		Use:               "send NAME CONVERSATION --text TEXT",
		Short:             "Send a message into a conversation",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: complete(t, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var raw json.RawMessage
			err = g.With(cmd.Context(), func(s *gateway.Session) error {
				path := gateway.Path(key, "conversations", args[1], "messages")
				return s.Send(cmd.Context(), path, once, map[string]string{"text": text}, &raw)
			})
			if err != nil {
				return target.Failed(fmt.Errorf("sending: %w", err))
			}
			if form.Structured() {
				return target.Failed(form.Print(cmd.OutOrStdout(), raw))
			}
			var sent message
			if err := json.Unmarshal(raw, &sent); err != nil {
				return target.Failed(fmt.Errorf("decoding the answer: %w", err))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "message %s: %s\n", sent.ID, sent.Status)
			return target.Failed(err)
		},
	}
	cmd.Flags().StringVar(&text, "text", "", "What to send")
	cmd.Flags().StringVar(&once, "idempotency-key", "", "A name of your own for this message: the same one again sends nothing twice")
	_ = cmd.MarkFlagRequired("text") // it is there
	form.Add(cmd, "json or yaml, as the private API answers. Default: a sentence", output.JSON, output.YAML)
	g.AddFlags(cmd)
	return cmd
}

// complete offers channels for the first argument, and the channel's newest conversations for the second.
func complete(t *target.Target, g *gateway.Gateway) target.Completion {
	conversations := target.Complete(func(ctx context.Context, args []string) ([]string, error) {
		key, err := t.Key(args[0])
		if err != nil {
			return nil, err
		}
		return g.IDs(ctx, gateway.Path(key, "conversations"))
	})
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return conversations(cmd, args, word)
		}
		return t.CompleteChannel(cmd, args, word)
	}
}

// local shows a time as the clock of this machine has it.
func local(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// dash stands for a cell that is empty.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
