package faults

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// A manager that is killed and starts again tries no earlier than the one before would have, and refreshes nothing that is not due.
func TestRestartKeepsBackOffAndSchedule(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.manager()
	idle := s.channel(1, later())
	s.is(idle, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Status: 503, Times: 2})
	ch := s.channel(2, time.Now())
	var next time.Time
	s.eventually("the second failure", func() string {
		f := s.reload(ch).Status.RefreshFailures
		if f == nil || f.Count < 2 {
			return fmt.Sprintf("failures are %v", f)
		}
		next = f.NextTime.Time
		return ""
	})
	m.Kill()
	m.start()
	s.stored(ch)
	s.eventually("the third try", func() string {
		if s.sim.CountCalls(refreshEndpoint) < 3 {
			return "there is none"
		}
		return ""
	})
	calls := s.sim.Calls(refreshEndpoint)
	if third := calls[2].Time; third.Before(next) {
		t.Errorf("it tried at %s, and the next try was for %s", third, next)
	}
	s.is(ch, v1alpha1.TokenFreshCondition, metav1.ConditionTrue)
	s.calls(3, 2)
	due := s.reload(idle).Status.NextRefreshTime
	m.Kill()
	m.start()
	m.ready()
	s.whole(3, 2, idle, ch)
	if due == nil || due.Time.Before(time.Now().Add(5*time.Hour)) {
		t.Errorf("the idle channel was due at %v", due)
	}
}
