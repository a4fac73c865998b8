// Package refresh asks for a channel's tokens to be refreshed now.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin/target"
)

// Command is kubectl tiktok refresh.
func Command(t *target.Target, now clock.PassiveClock) *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:               "refresh NAME",
		Short:             "Refresh a channel's tokens now",
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
			if !wait {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "channel %s: a refresh is asked for\n", key)
				return target.Failed(err)
			}
			ch, err := target.WaitFor(cmd.Context(), c, key, timeout, func(ch *v1alpha1.TiktokChannel) bool {
				return ch.Status.LastHandledRefreshAt == request
			})
			if err != nil {
				return target.Failed(fmt.Errorf("waiting for the refresh of channel %s: %w", key, err))
			}
			return target.Failed(outcome(cmd, ch))
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "Wait until it is done, and say what came of it")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "How long to wait")
	return cmd
}

func ask(ctx context.Context, c client.Client, key client.ObjectKey, request string) error {
	ch := &v1alpha1.TiktokChannel{}
	if err := c.Get(ctx, key, ch); err != nil {
		return fmt.Errorf("reading channel %s: %w", key, err)
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

func outcome(cmd *cobra.Command, ch *v1alpha1.TiktokChannel) error {
	fresh := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.TokenFreshCondition)
	switch {
	case fresh == nil:
		return errors.New("the channel has no tokens")
	case fresh.Status != "True":
		return fmt.Errorf("the tokens are not fresh (%s): %s", fresh.Reason, fresh.Message)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "channel %s/%s: refreshed, the access token lives until %s\n",
		ch.Namespace, ch.Name, ch.Status.AccessTokenExpiresAt.Format(time.RFC3339))
	return err
}
