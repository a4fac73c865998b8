package refresh

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

func TestASuspendedChannelIsNotAskedFor(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, suspended := range []bool{false, true} {
		ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme"}}
		ch.Spec.Suspend = suspended
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ch).Build()
		key := client.ObjectKeyFromObject(ch)
		err := ask(t.Context(), c, key, "now")
		if suspended != (err != nil && strings.Contains(err.Error(), "is suspended")) {
			t.Errorf("suspended %t: %v", suspended, err)
		}
		if err := c.Get(t.Context(), key, ch); err != nil {
			t.Fatal(err)
		}
		if asked := ch.Annotations[v1alpha1.RefreshRequestedAtAnnotation] == "now"; asked == suspended {
			t.Errorf("suspended %t: it is asked for: %t", suspended, asked)
		}
	}
}

func TestARefreshThatIsLateSaysWhy(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "because"}
	}
	for want, ch := range map[string]v1alpha1.TiktokChannelStatus{
		"Ready=False (AppNotReady): because": {ObservedGeneration: 1, Conditions: []metav1.Condition{
			condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAppNotReady),
		}},
		"TokenFresh=False (RefreshFailing): because": {ObservedGeneration: 1, Conditions: []metav1.Condition{
			condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded),
			condition(v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonRefreshFailing),
		}},
		"The operator has not answered yet": {ObservedGeneration: 1, Conditions: []metav1.Condition{
			condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded),
		}},
		"The operator has not answered yet: is it running": {Conditions: []metav1.Condition{
			condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAppNotReady),
		}},
	} {
		if got := delay(&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: ch}); !strings.HasPrefix(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
