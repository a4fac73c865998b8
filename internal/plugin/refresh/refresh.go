// Package refresh asks for a channel's tokens to be refreshed now.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/output"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Command is kubectl tiktok refresh.
func Command(t *target.Target, now clock.PassiveClock) *cobra.Command {
	var wait bool
	var timeout time.Duration
	var form output.Flag
	cmd := &cobra.Command{
		Use:               "refresh NAME",
		Short:             "Ask for a refresh of a channel's tokens now; with --wait, wait until it is done",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.CompleteChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := t.Client()
			if err != nil {
				return target.Failed(err)
			}
			key := client.ObjectKey{Namespace: namespace, Name: args[0]}
			request := now.Now().UTC().Format(time.RFC3339Nano)
			if err := ask(cmd.Context(), c, key, request); err != nil {
				return target.Failed(err)
			}
			a := answer{Namespace: key.Namespace, Name: key.Name, RequestedAt: request}
			if !wait {
				return target.Failed(show(cmd, a, &form))
			}
			ch, err := target.WaitFor(cmd.Context(), c, key, timeout, func(ch *v1alpha1.TiktokChannel) bool {
				return ch.Status.LastHandledRefreshAt == request
			})
			if err != nil {
				return target.Failed(fmt.Errorf("waiting for the refresh of channel %s: %w: %s", key, err, delay(ch)))
			}
			if err := outcome(ch); err != nil {
				return target.Failed(err)
			}
			a.Refreshed, a.AccessTokenExpiresAt = true, ch.Status.AccessTokenExpiresAt
			return target.Failed(show(cmd, a, &form))
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "Wait until it is done, and say what came of it")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "How long to wait, with --wait")
	form.Add(cmd, "json or yaml: the channel, and with --wait what came of it. Default: a sentence", output.JSON, output.YAML)
	return cmd
}

// answer is what is printed for a program.
type answer struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	RequestedAt string `json:"requestedAt"`
	// Refreshed is false where nobody waited for it.
	Refreshed            bool         `json:"refreshed"`
	AccessTokenExpiresAt *metav1.Time `json:"accessTokenExpiresAt,omitempty"`
}

func show(cmd *cobra.Command, a answer, form *output.Flag) error {
	if form.Structured() {
		return form.Print(cmd.OutOrStdout(), a)
	}
	what := "a refresh is asked for"
	if a.Refreshed {
		what = "refreshed, the access token lives until " + a.AccessTokenExpiresAt.Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "channel %s/%s: %s\n", a.Namespace, a.Name, what)
	return err
}

func ask(ctx context.Context, c client.Client, key client.ObjectKey, request string) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := c.Get(ctx, key, ch); err != nil {
		return fmt.Errorf("reading channel %s: %w", key, err)
	}
	if ch.Spec.Suspend {
		return fmt.Errorf("channel %s is suspended (spec.suspend): nothing of it is refreshed until it is resumed", key)
	}
	before := ch.DeepCopy()
	if ch.Annotations == nil {
		ch.Annotations = map[string]string{}
	}
	ch.Annotations[v1alpha1.RefreshRequestedAtAnnotation] = request
	if err := c.Patch(ctx, ch, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("asking for a refresh of channel %s: %w", key, err)
	}
	return nil
}

// delay is what keeps the operator from a refresh that was asked for.
func delay(ch *v1alpha1.TiktokChannel) string {
	if ch.Status.ObservedGeneration == ch.Generation {
		for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.TokenFreshCondition} {
			if c := meta.FindStatusCondition(ch.Status.Conditions, kind); c != nil && c.Status != metav1.ConditionTrue {
				return fmt.Sprintf("%s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
			}
		}
	}
	return "The operator has not answered yet: is it running, and does it watch this namespace?"
}

// outcome is nil if the channel's tokens are fresh.
func outcome(ch *v1alpha1.TiktokChannel) error {
	fresh := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.TokenFreshCondition)
	switch {
	case fresh == nil:
		return errors.New("the channel has no tokens")
	case fresh.Status != "True":
		return fmt.Errorf("the tokens are not fresh (%s): %s", fresh.Reason, fresh.Message)
	}
	return nil
}
