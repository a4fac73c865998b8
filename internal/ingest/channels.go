package ingest

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// BusinessIndex is the field index by which a webhook finds its channel without a scan: app and business.
const BusinessIndex = "status.businessID"

// IndexChannels adds BusinessIndex to a cache. Call it before the cache starts.
func IndexChannels(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.TiktokChannel{}, BusinessIndex, BusinessKeys); err != nil {
		return fmt.Errorf("indexing channels by business: %w", err)
	}
	return nil
}

// BusinessKeys are a channel's keys in BusinessIndex.
func BusinessKeys(o client.Object) []string {
	ch, ok := o.(*v1alpha1.TiktokChannel)
	if !ok || ch.Status.BusinessID == "" || ch.Spec.AppRef.Name == "" {
		return nil
	}
	return []string{businessKey(ch.Spec.AppRef.Name, ch.Status.BusinessID)}
}

// businessKey cannot be made ambiguous by a business id: an app's name holds no slash.
func businessKey(app, business string) string { return app + "/" + business }

// ChannelOf finds the channel of the app that holds the business; nil if there is none. While a channel gives way to another, the one that is
// not being deleted is preferred, then the older one. What it points to is the cache's own: do not change it.
func ChannelOf(ctx context.Context, r client.Reader, app, business string) (*v1alpha1.TiktokChannel, error) {
	if business == "" {
		return nil, nil
	}
	var list v1alpha1.TiktokChannelList
	// Every webhook comes this way, and only reads: a copy of its channel would be made to be thrown away.
	err := r.List(ctx, &list, client.MatchingFields{BusinessIndex: businessKey(app, business)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the channel: %w", err)
	}
	var best *v1alpha1.TiktokChannel
	for i := range list.Items {
		if ch := &list.Items[i]; best == nil || preferred(ch, best) {
			best = ch
		}
	}
	return best, nil
}

func preferred(a, b *v1alpha1.TiktokChannel) bool {
	if aStays, bStays := a.DeletionTimestamp.IsZero(), b.DeletionTimestamp.IsZero(); aStays != bStays {
		return aStays
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
