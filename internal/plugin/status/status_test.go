package status

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
)

func TestAChannelIsShownWithItsReasonsAndClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	expires, refreshed := metav1.NewTime(now.Add(3*time.Hour)), metav1.NewTime(now.Add(-5*time.Minute))
	c := v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main"}}
	c.Status.AccessTokenExpiresAt = &expires
	c.Status.NextRefreshTime = &refreshed
	c.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Waiting", Message: "not yet"}}
	c.Spec.Sinks = []v1alpha1.Sink{{Name: "crm"}, {Name: "archive"}}
	c.Status.Sinks = []v1alpha1.SinkStatus{{Name: "crm", State: v1alpha1.SinkFailing, Since: refreshed, Message: "refused"}}
	happened := []corev1.Event{
		{Type: "Warning", Reason: "SinkFailing", Message: "crm takes no events", EventTime: metav1.NewMicroTime(now.Add(-7 * time.Minute))},
		{Type: "Normal", Reason: "Refreshed", Message: "tokens renewed", LastTimestamp: metav1.NewTime(now.Add(-8 * time.Hour))},
	}

	var one, many strings.Builder
	three, since := 3, now.Add(-11*time.Minute)
	if err := screen(&one, &c, extras{
		now: now, happened: happened, problems: []string{"Events: forbidden", "Sinks: no pod"},
		waiting: []sinkapi.Sink{{Name: "crm", Pending: &three, AtLeast: true, OldestAt: &since}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := table(&many, []v1alpha1.TiktokChannel{c}, true, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"shop/main", "in 3h", "5m ago", "Waiting", "not yet", "crm", "Failing", "refused", "archive", "Healthy", "7m ago", "crm takes no events", "8h ago", "forbidden",
		"3+", "11m ago", "?", "no pod",
	} {
		if !strings.Contains(one.String(), want) {
			t.Errorf("the screen lacks %q:\n%s", want, one.String())
		}
	}
	for _, want := range []string{"shop", "main", "False", "Waiting", "in 3h", "5m ago", "crm"} {
		if !strings.Contains(many.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, many.String())
		}
	}
}
