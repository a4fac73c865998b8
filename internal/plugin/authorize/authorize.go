// Package authorize gets a channel authorized: it shows the link, and waits for a person to open it and consent.
package authorize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
			"links out of the status, from the private API. Nothing but the link is on standard output. A channel that is Ready needs none; one that is " +
			"authorized and not Ready gets none either: what is told instead is why it is not.",
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
	cmd.Flags().BoolVar(&o.wait, "wait", false,
		"Wait for the link, and until the channel is Ready, with --fresh after one more authorization; and say why it is not")
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
	w := &waiting{client: c, key: key, after: -1, left: o.timeout, progress: newProgress(cmd.ErrOrStderr(), clock.RealClock{})}
	if o.fresh { // any other authorization will do, be it of another link
		w.after = ch.Status.AuthorizationEpoch
	}
	if o.wait && !o.fresh {
		var err error
		if ch, err = w.forLink(cmd.Context()); err != nil {
			return err
		}
	}
	a := answer{Namespace: key.Namespace, Name: key.Name, Ready: ready(ch), AuthorizationURL: ch.Status.AuthorizationURL}
	switch {
	case o.fresh || (unlinked(ch) && !a.Ready):
		err := g.With(cmd.Context(), func(s *gateway.Session) error {
			return s.Do(cmd.Context(), http.MethodPost, gateway.Path(key, "authorization"), nil, &a)
		})
		if err != nil {
			return fmt.Errorf("asking for a link to authorize channel %s: %w%s", key, err, aside(ch))
		}
	case a.Ready:
		a.AuthorizationURL = ""
		return show(cmd, a, &o.output)
	case a.AuthorizationURL != "":
	case !o.wait:
		return noLink(ch)
	default: // it is authorized, and something else keeps it from being Ready
		if err := w.untilReady(cmd.Context()); err != nil {
			return err
		}
		a.Ready = true
		return show(cmd, a, &o.output)
	}
	if err := show(cmd, a, &o.output); err != nil {
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
	return w.untilReady(cmd.Context())
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

// closed are the reasons for which a channel is not Ready, and a consent would not help: the operator makes no link then.
var closed = []string{
	v1alpha1.ReasonAppNotFound, v1alpha1.ReasonAppNotAllowed, v1alpha1.ReasonAppNotReady, v1alpha1.ReasonTokenSecretNotOwned,
	v1alpha1.ReasonTokenSecretNotWritable, v1alpha1.ReasonDeleting,
}

// unlinked says that a consent would help, and that the operator, which has looked, keeps the link out of the status.
func unlinked(ch *v1alpha1.TiktokChannel) bool {
	condition := observed(ch)
	return condition != nil && !authorized(ch) && ch.Status.AuthorizationURL == "" && !slices.Contains(closed, condition.Reason)
}

// noLink says why there is none.
func noLink(ch *v1alpha1.TiktokChannel) error {
	key := client.ObjectKeyFromObject(ch)
	switch {
	case authorized(ch):
		return fmt.Errorf("channel %s is authorized, which another authorization would not change, but not Ready: %s", key, reason(ch, -1))
	case observed(ch) == nil:
		return fmt.Errorf("channel %s has no link yet, which --wait waits for: %s", key, reason(ch, -1))
	}
	return fmt.Errorf("channel %s cannot be authorized now: %s", key, reason(ch, -1))
}

// aside is why a channel is not Ready, below an error about something else.
func aside(ch *v1alpha1.TiktokChannel) string {
	if ready(ch) {
		return ""
	}
	return "\n  " + reason(ch, -1)
}

// observed is the Ready condition, or nil if the operator has not looked at the channel as it is now.
func observed(ch *v1alpha1.TiktokChannel) *metav1.Condition {
	condition := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
	if condition == nil || condition.ObservedGeneration != ch.Generation {
		return nil
	}
	return condition
}

func ready(ch *v1alpha1.TiktokChannel) bool {
	condition := observed(ch)
	return condition != nil && condition.Status == metav1.ConditionTrue
}

func authorized(ch *v1alpha1.TiktokChannel) bool {
	return meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.AuthorizedCondition)
}

func reason(ch *v1alpha1.TiktokChannel, after int64) string {
	condition := observed(ch)
	switch {
	case condition == nil && len(ch.Status.Conditions) > 0:
		return "The operator has not looked at the channel since it was changed: is it running?"
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
