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
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

type options struct {
	open, wait, fresh bool
	timeout           time.Duration
	output            output.Flag
}

// Command is kubectl tiktok authorize.
func Command(t *target.Target, g *gateway.Gateway) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "authorize NAME",
		Short: "Show the link with which a business authorizes a channel; with --wait, wait until it has",
		Long: "Show the link with which a business authorizes a channel. It comes from the channel's status; with --fresh, or where the operator keeps " +
			"links out of the status, from the private API. Nothing but the link is on standard output; a channel that is Ready needs none.",
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
	cmd.Flags().BoolVar(&o.wait, "wait", false, "Wait until the channel is Ready, with --fresh after one more authorization, and say why it is not")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "Have the private API make a link, also for a channel that is Ready")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long to wait, with --wait")
	o.output.Add(cmd, "json or yaml: the link with the channel, whether that is Ready, and, from the private API, when the link ends. Default: the link",
		output.JSON, output.YAML)
	g.AddFlags(cmd)
	return cmd
}

// answer is what is printed for a program.
type answer struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Ready     bool   `json:"ready"`
	// AuthorizationURL is absent of a channel that is Ready, unless a fresh one was asked for.
	AuthorizationURL string     `json:"authorizationURL,omitempty"`
	ExpiresAt        *time.Time `json:"expiresAt,omitempty"`
}

func run(cmd *cobra.Command, c client.Client, g *gateway.Gateway, key client.ObjectKey, o options) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := c.Get(cmd.Context(), key, ch); err != nil {
		return fmt.Errorf("reading channel %s: %w", key, err)
	}
	a := answer{Namespace: key.Namespace, Name: key.Name, Ready: ready(ch)}
	needed := !a.Ready || o.fresh
	if needed {
		a.AuthorizationURL = ch.Status.AuthorizationURL
		if a.AuthorizationURL == "" || o.fresh {
			err := g.With(cmd.Context(), func(s *gateway.Session) error {
				return s.Do(cmd.Context(), http.MethodPost, gateway.Path(key, "authorization"), nil, &a)
			})
			if err != nil {
				return fmt.Errorf("asking for a link to authorize channel %s: %w", key, err)
			}
		}
	}
	if err := show(cmd, a, &o.output); err != nil || !needed {
		return err
	}
	if o.open {
		if err := browse(cmd.Context(), a.AuthorizationURL); err != nil {
			return fmt.Errorf("opening a browser: %w; open the link by hand", err)
		}
	}
	if !o.wait {
		return nil
	}
	after := int64(-1) // any authorization will do, be it of another link
	if o.fresh {
		after = ch.Status.AuthorizationEpoch
	}
	return await(cmd.Context(), cmd.ErrOrStderr(), c, key, after, o.timeout)
}

// show prints the link, where scripts look for it, and everything else where they do not.
func show(cmd *cobra.Command, a answer, form *output.Flag) error {
	if form.Structured() {
		return form.Print(cmd.OutOrStdout(), a)
	}
	if a.AuthorizationURL == "" {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "channel %s/%s is authorized and Ready; --fresh makes a link all the same\n", a.Namespace, a.Name)
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), a.AuthorizationURL)
	return err
}

// await tells of each turn of the channel until it is Ready, and was authorized after an epoch.
func await(ctx context.Context, out io.Writer, c client.Client, key client.ObjectKey, after int64, timeout time.Duration) error {
	p := newProgress(out, clock.RealClock{})
	ch, err := target.WaitFor(ctx, c, key, timeout, func(ch *v1alpha1.TiktokChannel) bool {
		p.tell(reason(ch, after))
		return ready(ch) && ch.Status.AuthorizationEpoch > after
	})
	p.end()
	switch {
	case err == nil:
		return nil
	case ready(ch):
		return fmt.Errorf("channel %s was not authorized anew: %w", key, err)
	default:
		return fmt.Errorf("channel %s is not Ready: %w: %s", key, err, reason(ch, after))
	}
}

func ready(ch *v1alpha1.TiktokChannel) bool {
	condition := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
	return condition != nil && condition.Status == "True" && condition.ObservedGeneration == ch.Generation
}

func reason(ch *v1alpha1.TiktokChannel, after int64) string {
	condition := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case condition == nil:
		return "The operator has not looked at the channel yet: is it running, and does it watch this namespace?"
	case ready(ch) && ch.Status.AuthorizationEpoch <= after:
		return "The channel is Ready with its earlier authorization; nobody has consented through the new link yet."
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
