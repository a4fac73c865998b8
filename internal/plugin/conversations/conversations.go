// Package conversations reads and answers what users write: conversations, messages, send and tail.
package conversations

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Commands are the subcommands of this package.
func Commands(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) []*cobra.Command {
	return []*cobra.Command{list(t, g), messages(t, g), send(t, g), tail(t, g, now)}
}

func list(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var output gateway.Output
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
			var answer struct{ Items []conversation }
			return target.Failed(output.Show(cmd, g, gateway.Path(key, "conversations"), &answer, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, "CONVERSATION\tUSER\tUPDATED\tWINDOW\tLAST MESSAGE")
				for _, c := range answer.Items {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.ID, c.User.name(), c.UpdatedAt, c.Window, c.LastMessage.text())
				}
			}))
		},
	}
	output.AddFlags(cmd.Flags())
	g.AddFlags(cmd.Flags())
	return cmd
}

func messages(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var output gateway.Output
	cmd := &cobra.Command{
		Use:               "messages NAME CONVERSATION",
		Short:             "List a conversation's messages, the newest first, with their status",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var answer struct{ Items []message }
			return target.Failed(output.Show(cmd, g, gateway.Path(key, "conversations", args[1], "messages"), &answer, func(w io.Writer) {
				_, _ = fmt.Fprintln(w, "TIME\tFROM\tSTATUS\tMESSAGE\tEXPLANATION")
				for _, m := range answer.Items {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Time.Local().Format(time.DateTime), m.from(), m.Status, m.text(), m.Explanation)
				}
			}))
		},
	}
	output.AddFlags(cmd.Flags())
	g.AddFlags(cmd.Flags())
	return cmd
}

func send(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var text, once string
	cmd := &cobra.Command{
		Use:               "send NAME CONVERSATION --text TEXT",
		Short:             "Send a message into a conversation",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			var sent message
			err = g.Send(cmd.Context(), gateway.Path(key, "conversations", args[1], "messages"), once, map[string]string{"text": text}, &sent)
			if err != nil {
				return target.Failed(fmt.Errorf("sending: %w", err))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "message %s: %s\n", sent.ID, sent.Status)
			return target.Failed(err)
		},
	}
	cmd.Flags().StringVar(&text, "text", "", "What to send")
	cmd.Flags().StringVar(&once, "idempotency-key", "", "A name of your own for this message: the same one again sends nothing twice")
	_ = cmd.MarkFlagRequired("text") // it is there
	g.AddFlags(cmd.Flags())
	return cmd
}

func tail(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:               "tail NAME",
		Short:             "Follow a channel's events, each as a line of JSON (a CloudEvent)",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := t.Key(args[0])
			if err != nil {
				return target.Failed(err)
			}
			query := url.Values{}
			if since > 0 {
				query.Set("since", now.Now().Add(-since).UTC().Format(time.RFC3339))
			}
			return target.Failed(follow(cmd, g, gateway.Path(key, "events"), query))
		},
	}
	cmd.Flags().DurationVar(&since, "since", 0, "Begin with the events of so long ago, such as 1h. Default: now")
	g.AddFlags(cmd.Flags())
	return cmd
}

// follow listens, and goes on after the last event when the stream ends.
func follow(cmd *cobra.Command, g *gateway.Gateway, path string, query url.Values) error {
	ctx := cmd.Context()
	return g.Call(ctx, func(c *http.Client, base string) error {
		last := ""
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path+"?"+query.Encode(), nil)
			if err != nil {
				return fmt.Errorf("making the request: %w", err)
			}
			req.Header.Set("Accept", "text/event-stream")
			if last != "" {
				req.Header.Set("Last-Event-ID", last)
			}
			resp, err := c.Do(req)
			if err != nil {
				return ended(ctx, fmt.Errorf("calling the private API: %w", err))
			}
			if resp.StatusCode != http.StatusOK {
				return gateway.Decode(resp, nil)
			}
			before := last
			last, err = events(resp.Body, cmd.OutOrStdout(), last)
			_ = resp.Body.Close()
			if err != nil && last == before {
				return ended(ctx, fmt.Errorf("listening: %w", err))
			}
		}
	})
}

// ended is no error where a person ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a person ended it
	}
	return err
}
