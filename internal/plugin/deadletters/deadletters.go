// Package deadletters lists what sinks did not take, and has stored events delivered anew.
package deadletters

import (
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/moment"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Commands are the subcommands of this package.
func Commands(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) []*cobra.Command {
	return []*cobra.Command{list(t, g, now), replay(t, g, now), replayEvents(t, g, now)}
}

// selection are the flags that choose by sink and by time.
type selection struct {
	sink         string
	since, until *moment.Flag
}

func (s *selection) addFlags(cmd *cobra.Command, t *target.Target, now clock.PassiveClock, ofSink, since string) {
	s.since, s.until = moment.New(now), moment.New(now)
	cmd.Flags().StringVar(&s.sink, "sink", "", ofSink)
	cmd.Flags().Var(s.since, "since", since+" this time, such as 2026-08-01T10:00:00Z, or 90m for so long ago")
	cmd.Flags().Var(s.until, "until", "And before this time")
	_ = cmd.RegisterFlagCompletionFunc("sink", t.CompleteSink) // the flag is there
}

// query is what the private API is asked.
func (s *selection) query() url.Values {
	query := url.Values{}
	if s.sink != "" {
		query.Set("sink", s.sink)
	}
	s.since.AddTo(query, "since")
	s.until.AddTo(query, "until")
	return query
}

// deadLetter is what a table shows of one.
type deadLetter struct {
	ID, Sink, Reason, Problem string
	Attempts                  int
	StoredAt, DiedAt          time.Time
	Event                     struct{ ID, Type, Subject string }
}

func list(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) *cobra.Command {
	var show gateway.List
	var which selection
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
			var letters []deadLetter
			return target.Failed(show.Show(cmd, g, gateway.Path(key, "dead-letters"), which.query(), &letters, func(w io.Writer, wide bool) {
				more := ""
				if wide {
					more = "\tSTORED\tEVENT ID\tCONVERSATION"
				}
				_, _ = fmt.Fprintln(w, "ID\tSINK\tDIED\tATTEMPTS\tREASON\tEVENT\tPROBLEM"+more)
				for _, d := range letters {
					if wide {
						more = fmt.Sprintf("\t%s\t%s\t%s", d.StoredAt.Local().Format(time.DateTime), d.Event.ID, d.Event.Subject)
					}
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%q%s\n",
						d.ID, d.Sink, d.DiedAt.Local().Format(time.DateTime), d.Attempts, d.Reason, d.Event.Type, d.Problem, more)
				}
			}))
		},
	}
	which.addFlags(cmd, t, now, "Only those of this sink", "Only those that died at or after")
	show.AddFlags(cmd)
	g.AddFlags(cmd)
	return cmd
}
