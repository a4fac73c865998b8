package channelevent

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// occurrence is something that happened to a channel, with the id that it has wherever and whenever it is noticed.
type occurrence struct {
	id    string
	event cloudevent.ChannelEvent
}

// occurrences are what a channel's status tells of, however long ago it was.
func occurrences(ch *v1alpha1.TiktokChannel) []occurrence {
	var all []occurrence
	epoch := strconv.FormatInt(ch.Status.AuthorizationEpoch, 10)
	authorized := meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.AuthorizedCondition)
	if at := ch.Status.LastAuthorizationTime; authorized && at != nil {
		all = append(all, occurrence{
			id:    identify(cloudevent.TypeChannelAuthorized, string(ch.UID), epoch),
			event: cloudevent.ChannelEvent{Type: cloudevent.TypeChannelAuthorized, Time: at.UTC(), Data: data(ch)},
		})
	}
	c := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReauthorizationRequiredCondition)
	if c != nil && c.Status == metav1.ConditionTrue {
		d := data(ch)
		d.Reason, d.Message = c.Reason, c.Message
		turned := c.LastTransitionTime.UTC()
		all = append(all, occurrence{
			id:    identify(cloudevent.TypeChannelReauthorizationRequired, string(ch.UID), epoch, turned.Format(time.RFC3339)),
			event: cloudevent.ChannelEvent{Type: cloudevent.TypeChannelReauthorizationRequired, Time: turned, Data: d},
		})
	}
	return all
}

// data names the parts of the status that sinks may see. status.authorizationURL is a credential and must not be among them.
func data(ch *v1alpha1.TiktokChannel) cloudevent.ChannelData {
	d := cloudevent.ChannelData{
		BusinessID: ch.Status.BusinessID, Username: ch.Status.Username, DisplayName: ch.Status.DisplayName,
		GrantedScopes: slices.Clone(ch.Status.GrantedScopes),
	}
	if end := ch.Status.AccessTokenExpiresAt; end != nil {
		at := end.UTC()
		d.AccessTokenExpiresAt = &at
	}
	return d
}

// identify makes an id. Its prefix is not that of webhooks, so that no webhook can take its place in the log.
func identify(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "chn_" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
