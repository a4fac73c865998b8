package faults

import (
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// cutOff is a stage with one channel and one manager, at the moment that matters: TikTok has answered a refresh, the manager has read the
// answer, and the API server is out of its reach.
func cutOff(t *testing.T) (*stage, *manager, *v1alpha1.TiktokChannel) {
	t.Helper()
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.whenAnswering(m.proxy.cut)
	s.request(ch, "first")
	m.answered()
	if s.sim.RefreshTokenWorks(s.refreshToken(ch)) {
		t.Fatal("the new tokens are in the Secret already: nothing is tested")
	}
	return s, m, ch
}

// The manager is killed after TikTok's answer is journalled and before the Secret is written. The container starts again, and stores it.
func TestKilledBeforeTheSecretIsWritten(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	m.Kill()
	m.proxy.restore()
	m.start()
	s.stored(ch)
	s.whole(1, 0, ch)
}

// The container starts again while the API server is still away: it waits with the answer in its hands, since a container that ends is started
// later and later. It may be killed once more.
func TestRestartedWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	m.Kill()
	m.start()
	m.tells("TikTok's answers wait in the journal")
	m.running()
	m.Kill()
	m.answered()
	m.start()
	m.tells("TikTok's answers wait in the journal")
	m.proxy.restore()
	s.stored(ch)
	s.whole(1, 0, ch)
}

// The write arrives at the API server, its answer does not arrive at the manager, which is then killed: what is stored is not stored again
// over something newer, and not refreshed again.
func TestKilledBeforeTheWriteIsConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.whenAnswering(m.proxy.holdAnswers)
	s.request(ch, "first")
	s.stored(ch)
	m.answered()
	m.Kill()
	m.proxy.restore()
	m.start()
	s.whole(1, 0, ch)
}

// SIGTERM while the API server is away: the process stays until the tokens are stored, and ends well.
func TestTerminatedWaitsForTheWrite(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	m.Signal(syscall.SIGTERM)
	m.tells("Stopping and waiting")
	m.tells(`"attempt":2`) // it goes on trying
	m.running()
	m.proxy.restore()
	m.ended(patience)
	if err := m.Stop(patience); err != nil {
		t.Error(err)
	}
	if !s.sim.RefreshTokenWorks(s.refreshToken(ch)) {
		t.Error("the process ended before the tokens were stored")
	}
	if left := m.entries(); len(left) > 0 {
		t.Errorf("the journal holds %v", left)
	}
	m.start()
	s.whole(1, 0, ch)
}

// The grace period ends before the API server is back: the journal has the answer.
func TestTerminatedThenKilledLeavesTheJournal(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	m.Signal(syscall.SIGTERM)
	m.tells("Stopping and waiting")
	m.running()
	m.Kill()
	m.proxy.restore()
	m.start()
	s.stored(ch)
	s.whole(1, 0, ch)
}

// The API server is away for as long as a claim lives.
func TestAPIServerAwayForHalfAMinute(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	time.Sleep(30 * time.Second) // the outage itself
	m.running()
	m.proxy.restore()
	s.stored(ch)
	s.whole(1, 0, ch)
}

// kube-apiserver itself is killed at that moment, and starts again. Not parallel: it is everybody's.
func TestAPIServerKilled(t *testing.T) {
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.requestUntil(s.whenAnswering(cluster.server.Kill), ch, "first")
	m.answered()
	if err := cluster.startServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stored(ch)
	s.whole(1, 0, ch)
}

// kube-apiserver hangs with the write in its hands until the manager gives the attempt up.
func TestAPIServerHangs(t *testing.T) {
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	t.Cleanup(func() { cluster.server.Signal(syscall.SIGCONT) })
	s.requestUntil(s.whenAnswering(func() { cluster.server.Signal(syscall.SIGSTOP) }), ch, "first")
	m.answered()
	m.tells("could not be stored yet")
	cluster.server.Signal(syscall.SIGCONT)
	s.stored(ch)
	s.whole(1, 0, ch)
}
