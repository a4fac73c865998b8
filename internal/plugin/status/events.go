package status

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// shownEvents is how many Events a screen has.
const shownEvents = 8

// lastEvents are the Kubernetes Events about a channel that happened last, the newest first.
func lastEvents(ctx context.Context, c client.Client, ch *v1alpha1.TiktokChannel) ([]corev1.Event, error) {
	var list corev1.EventList
	about := client.MatchingFields{"involvedObject.uid": string(ch.UID)}
	if err := c.List(ctx, &list, client.InNamespace(ch.Namespace), about); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return lastTime(&b).Compare(lastTime(&a).Time) })
	return list.Items[:min(len(list.Items), shownEvents)], nil
}

// lastTime is when an Event happened last. Which of its fields says so depends on the API that made it.
func lastTime(e *corev1.Event) *metav1.Time {
	last := e.LastTimestamp
	if e.EventTime.After(last.Time) {
		last = metav1.NewTime(e.EventTime.Time)
	}
	if e.Series != nil && e.Series.LastObservedTime.After(last.Time) {
		last = metav1.NewTime(e.Series.LastObservedTime.Time)
	}
	return &last
}
