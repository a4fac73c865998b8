// Package authorize gets a channel authorized: it shows the link, and waits for a person to open it and consent.
package authorize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/gateway"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

type options struct {
	open, wait, fresh bool
	timeout           time.Duration
}

// Command is kubectl tiktok authorize.
func Command(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "authorize NAME",
		Short: "Show the link with which a business authorizes a channel, and wait until it has",
		Long: "Show the link with which a business authorizes a channel. It comes from the channel's status; with --fresh, or where the operator keeps " +
			"links out of the status, from the private API.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := t.Client()
			if err != nil {
				return target.Failed(err)
			}
			return target.Failed(run(cmd, c, g, client.ObjectKey{Namespace: namespace, Name: args[0]}, o))
		},
	}
	cmd.Flags().BoolVar(&o.open, "open", false, "Open the link in a browser of this machine")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "Wait until the channel is Ready, and say why it is not")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "Have the private API make a link")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long to wait")
	g.AddFlags(cmd.Flags())
	return cmd
}

func run(cmd *cobra.Command, c client.Client, g *gateway.Gateway, key client.ObjectKey, o options) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := c.Get(cmd.Context(), key, ch); err != nil {
		return fmt.Errorf("reading channel %s: %w", key, err)
	}
	if ready(ch) && !o.fresh {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "channel %s is authorized and Ready; --fresh makes a link all the same\n", key)
		return err
	}
	link := ch.Status.AuthorizationURL
	if link == "" || o.fresh {
		var answer struct {
			AuthorizationURL string `json:"authorizationURL"`
		}
		if err := g.Do(cmd.Context(), http.MethodPost, gateway.Path(key, "authorization"), nil, &answer); err != nil {
			return fmt.Errorf("asking for a link to authorize channel %s: %w", key, err)
		}
		link = answer.AuthorizationURL
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), link); err != nil {
		return err
	}
	if o.open {
		if err := browse(cmd.Context(), link); err != nil {
			return fmt.Errorf("opening a browser: %w; open the link by hand", err)
		}
	}
	if !o.wait {
		return nil
	}
	return await(cmd.Context(), cmd.ErrOrStderr(), c, key, o.timeout)
}

// await tells of each turn of the channel until it is Ready.
func await(ctx context.Context, out io.Writer, c client.Client, key client.ObjectKey, timeout time.Duration) error {
	p := newProgress(out, clock.RealClock{})
	ch, err := target.WaitFor(ctx, c, key, timeout, func(ch *v1alpha1.TiktokChannel) bool {
		p.tell(reason(ch))
		return ready(ch)
	})
	p.end()
	if err != nil {
		return fmt.Errorf("channel %s is not Ready: %w: %s", key, err, reason(ch))
	}
	return nil
}

func ready(ch *v1alpha1.TiktokChannel) bool {
	condition := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
	return condition != nil && condition.Status == "True" && condition.ObservedGeneration == ch.Generation
}

func reason(ch *v1alpha1.TiktokChannel) string {
	condition := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
	if condition == nil {
		return "The operator has not looked at the channel yet: is it running, and does it watch this namespace?"
	}
	return fmt.Sprintf("Ready=%s (%s): %s", condition.Status, condition.Reason, condition.Message)
}

func browse(ctx context.Context, link string) error {
	for _, name := range map[string][]string{
		"darwin": {"open"}, "windows": {"explorer"},
	}[runtime.GOOS] {
		return exec.CommandContext(context.WithoutCancel(ctx), name, link).Start() //nolint:gosec // the link is the operator's
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil {
		return errors.New("there is no xdg-open here")
	}
	return exec.CommandContext(context.WithoutCancel(ctx), path, link).Start() //nolint:gosec // the link is the operator's
}
