package outbound

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
)

// renew replaces a session whose token TikTok refused, asking the manager for a new token if nobody has stored one; nil if none comes. All
// messages of a channel that meet the same refusal wait for one renewal.
func (s *Sender) renew(ctx context.Context, ch *v1alpha1.TiktokChannel, refused *business.Session) *business.Session {
	renewed := s.renewals.DoChan(string(ch.UID), func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		asked := false
		for deadline := s.opts.Clock.Now().Add(refreshWait); s.opts.Clock.Now().Before(deadline); {
			s.opts.Sessions.Forget(string(ch.UID))
			if next, err := s.opts.Sessions.Session(ctx, ch); err == nil && next.AccessToken != refused.AccessToken {
				return next, nil
			}
			if !asked {
				asked = true
				if err := s.opts.Refresher.RequestRefresh(ctx, ch); err != nil {
					return nil, err
				}
			}
			if err := s.sleep(ctx, refreshPoll); err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("no new token came within %s", refreshWait)
	})
	got := <-renewed
	next, ok := got.Val.(*business.Session)
	if !ok {
		s.opts.Logger.Info("TikTok refused a channel's access token, and there is no new one yet", "namespace", ch.Namespace, "channel", ch.Name,
			"reason", fmt.Sprint(got.Err))
		return nil
	}
	return next
}

// Annotator asks the manager for a refresh by the channel's annotation.
type Annotator struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// RequestRefresh implements Refresher.
func (a *Annotator) RequestRefresh(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	changed := ch.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[v1alpha1.RefreshRequestedAtAnnotation] = a.Clock.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	if err := a.Client.Patch(ctx, changed, client.MergeFrom(ch)); err != nil {
		return fmt.Errorf("asking for a refresh of the token: %w", err)
	}
	return nil
}
