// Package status shows channels: all in a table, or one on a screen.
package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

// Command is kubectl tiktok status.
func Command(t *target.Target, g *gateway.Gateway, now clock.PassiveClock) *cobra.Command {
	var all bool
	var form output.Flag
	cmd := &cobra.Command{
		Use:               "status [NAME]",
		Short:             "Show a channel's conditions, tokens, windows and sinks, or a table of channels",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return fmt.Errorf("a channel's name and --all-namespaces exclude each other")
			}
			c, namespace, err := t.Client()
			if err != nil {
				return target.Failed(err)
			}
			if len(args) == 1 {
				return target.Failed(one(cmd, c, g, client.ObjectKey{Namespace: namespace, Name: args[0]}, now, &form))
			}
			if all {
				namespace = metav1.NamespaceAll
			}
			var list v1alpha1.TiktokChannelList
			if err := c.List(cmd.Context(), &list, client.InNamespace(namespace)); err != nil {
				return target.Failed(fmt.Errorf("listing channels: %w", err))
			}
			if form.Structured() {
				list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.TiktokChannelKind + "List"))
				for i := range list.Items {
					identify(&list.Items[i])
				}
				return target.Failed(form.Print(cmd.OutOrStdout(), &list))
			}
			if len(list.Items) == 0 {
				_, err := fmt.Fprintln(cmd.ErrOrStderr(), "No channels "+where(namespace)+".")
				return target.Failed(err)
			}
			return target.Failed(table(cmd.OutOrStdout(), list.Items, form.Wide(), now.Now()))
		},
	}
	form.Add(cmd, "json or yaml: of channels, the objects; of one, an object with channel, sinks, windows and events, and problems with what could "+
		"not be read; wide: the table of channels with more columns", output.JSON, output.YAML, output.Wide)
	g.AddFlags(cmd)
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "Show the channels of every namespace")
	return cmd
}

func where(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return "in any namespace"
	}
	return "in namespace " + namespace
}

// one shows a channel.
func one(cmd *cobra.Command, c client.Client, g *gateway.Gateway, key client.ObjectKey, now clock.PassiveClock, form *output.Flag) error {
	var channel v1alpha1.TiktokChannel
	if err := c.Get(cmd.Context(), key, &channel); err != nil {
		return fmt.Errorf("reading channel %s: %w", key, err)
	}
	about := extras{now: now.Now()}
	var err error
	if about.happened, err = lastEvents(cmd.Context(), c, &channel); err != nil {
		about.problems = append(about.problems, fmt.Sprintf("Events cannot be read: %v", err))
	}
	about.ask(cmd.Context(), g, &channel)
	if form.Structured() {
		identify(&channel)
		return form.Print(cmd.OutOrStdout(), document{
			Channel: &channel, Sinks: about.waiting, Windows: about.windows, Events: about.happened, Problems: about.problems,
		})
	}
	return screen(cmd.OutOrStdout(), &channel, about)
}

// document is what a screen shows, for programs.
type document struct {
	Channel *v1alpha1.TiktokChannel `json:"channel"`
	// Sinks are as the private API has them; absent if it could not be asked.
	Sinks []sinkapi.Sink `json:"sinks,omitempty"`
	// Windows of the newest conversations; absent if the private API could not be asked.
	Windows *windows `json:"windows,omitempty"`
	// Events are the last ones about the channel, the newest first.
	Events []corev1.Event `json:"events,omitempty"`
	// Problems say what could not be read.
	Problems []string `json:"problems,omitempty"`
}

// identify tells a channel's kind, which the client leaves out, and leaves out who manages which field.
func identify(c *v1alpha1.TiktokChannel) {
	c.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.TiktokChannelKind))
	c.ManagedFields = nil
}

func table(out io.Writer, channels []v1alpha1.TiktokChannel, wide bool, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	more := ""
	if wide {
		more = "\tAPP\tBUSINESS\tUSERNAME\tFAILING SINKS"
	}
	_, _ = fmt.Fprintln(w, "NAMESPACE\tNAME\tREADY\tREASON\tACCESS TOKEN\tNEXT REFRESH"+more)
	for i := range channels {
		c := &channels[i]
		ready, reason := "Unknown", ""
		if r := meta.FindStatusCondition(c.Status.Conditions, "Ready"); r != nil {
			ready, reason = string(r.Status), r.Reason
		}
		if wide {
			more = fmt.Sprintf("\t%s\t%s\t%s\t%s", c.Spec.AppRef.Name, c.Status.BusinessID, c.Status.Username, failing(c))
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s%s\n", c.Namespace, c.Name, ready, reason,
			relative(c.Status.AccessTokenExpiresAt, now), relative(c.Status.NextRefreshTime, now), more)
	}
	return w.Flush()
}

// failing names the sinks that take nothing.
func failing(c *v1alpha1.TiktokChannel) string {
	var names []string
	for _, s := range c.Status.Sinks {
		if s.State == v1alpha1.SinkFailing {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}

// extras are what a screen shows beside the channel itself, and what it cannot show.
type extras struct {
	now      time.Time
	happened []corev1.Event
	waiting  []sinkapi.Sink
	windows  *windows
	problems []string
}

func screen(out io.Writer, c *v1alpha1.TiktokChannel, about extras) error {
	now, happened := about.now, about.happened
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(w, "Channel:\t%s/%s\n", c.Namespace, c.Name)
	_, _ = fmt.Fprintf(w, "App:\t%s\n", c.Spec.AppRef.Name)
	if c.Status.BusinessID != "" {
		_, _ = fmt.Fprintf(w, "Business:\t%s %s\n", c.Status.BusinessID, c.Status.Username)
	}
	_, _ = fmt.Fprintf(w, "Access token expires:\t%s\n", relative(c.Status.AccessTokenExpiresAt, now))
	_, _ = fmt.Fprintf(w, "Refresh token expires:\t%s\n", relative(c.Status.RefreshTokenExpiresAt, now))
	_, _ = fmt.Fprintf(w, "Last refresh:\t%s\n", relative(c.Status.LastRefreshTime, now))
	_, _ = fmt.Fprintf(w, "Next refresh:\t%s\n", relative(c.Status.NextRefreshTime, now))
	if f := c.Status.RefreshFailures; f != nil {
		_, _ = fmt.Fprintf(w, "Failed refreshes:\t%d\n", f.Count)
	}
	if about.windows != nil {
		_, _ = fmt.Fprintf(w, "Open windows:\t%s\n", about.windows.text(now))
	}
	_, _ = fmt.Fprintln(w, "\nCONDITION\tSTATUS\tREASON\tMESSAGE")
	for _, cond := range c.Status.Conditions {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cond.Type, cond.Status, cond.Reason, cond.Message)
	}
	sinks(w, c, about)
	if len(happened) > 0 {
		_, _ = fmt.Fprintln(w, "\nEVENT\tREASON\tLAST\tMESSAGE")
	}
	for i := range happened {
		e := &happened[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Type, e.Reason, relative(lastTime(e), now), e.Message)
	}
	for _, problem := range about.problems {
		_, _ = fmt.Fprintf(w, "\n%s\n", problem)
	}
	return w.Flush()
}

// sinkStatus is a sink's of the spec. One that never failed is not in the status.
func sinkStatus(c *v1alpha1.TiktokChannel, name string) v1alpha1.SinkStatus {
	for _, s := range c.Status.Sinks {
		if s.Name == name {
			return s
		}
	}
	return v1alpha1.SinkStatus{Name: name, State: v1alpha1.SinkHealthy}
}

// relative tells a time as people do: in 3h, 5m ago.
func relative(t *metav1.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	if d := t.Sub(now); d > 0 {
		return "in " + duration.HumanDuration(d)
	}
	return duration.HumanDuration(now.Sub(t.Time)) + " ago"
}
