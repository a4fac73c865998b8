package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// Two managers, and no election, on fifty channels that are due in the same second: each is refreshed once, by whoever claims it first.
func TestTwoManagersAtOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	s := newStage(t).open()
	due := time.Now().Add(10 * time.Second)
	channels := make([]*v1alpha1.TiktokChannel, n)
	for i := range channels {
		channels[i] = s.channel(i+1, due)
	}
	s.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Latency: 100 * time.Millisecond}) // long enough to be overlapped
	managers := []*manager{s.newManager(), s.newManager()}
	for _, m := range managers {
		m.start()
	}
	for _, m := range managers {
		m.ready()
	}
	if time.Now().After(due) {
		t.Log("the machine is slow: the channels were due before both managers were ready")
	}
	s.eventually("every channel to be refreshed", func() string {
		if got := s.sim.CountCalls(refreshEndpoint); got < n {
			return "TikTok was asked too few times"
		}
		return ""
	})
	s.whole(n, 0, channels...)
	for i, m := range managers {
		log, err := os.ReadFile(m.log)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("manager %d made %d of %d refreshes", i+1, strings.Count(string(log), `"TikTok issued new tokens"`), 2*n)
	}
}

// leaders are two managers of which the first leads.
func leaders(s *stage) (first, second *manager) {
	s.t.Helper()
	first = s.newManager("--leader-elect=true")
	first.start()
	s.eventually("the first manager to lead", func() string {
		if holder(s) == "" {
			return "nobody does"
		}
		return ""
	})
	second = s.newManager("--leader-elect=true")
	second.start()
	second.ready()
	return first, second
}

func holder(s *stage) string {
	s.t.Helper()
	lease := &coordinationv1.Lease{}
	key := types.NamespacedName{Namespace: s.operator, Name: "manager.tiktok-operator.io"}
	if err := k8s.Get(s.t.Context(), key, lease); err != nil {
		return ""
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// paused is a leader that is stopped (SIGSTOP) with TikTok's answer in its hands and its claim on the Secret, until another one leads.
func paused(t *testing.T) (s *stage, first, second *manager, ch *v1alpha1.TiktokChannel) {
	t.Helper()
	s = newStage(t).open()
	first, second = leaders(s)
	ch = s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.whenAnswering(first.proxy.cut)
	s.request(ch, "first")
	first.answered()
	before := holder(s)
	first.Signal(syscall.SIGSTOP)
	first.proxy.restore()
	s.eventually("the second manager to lead", func() string {
		if now := holder(s); now == "" || now == before {
			return "it does not"
		}
		return ""
	})
	return s, first, second, ch
}

// The leader comes back within its claim: its successor has waited for it, and it stores what it has before it ends.
func TestLeaderPausedPastItsLease(t *testing.T) {
	t.Parallel()
	s, first, second, ch := paused(t)
	// Channels are looked at in turn: when the successor has refreshed a new one, it has looked at the claimed one too.
	second.tells("Starting workers")
	other := s.channel(2, time.Now())
	s.is(other, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	s.eventually("the successor to refresh another channel", func() string {
		if s.sim.CountCalls(refreshEndpoint) < 2 {
			return "TikTok was asked too few times"
		}
		return ""
	})
	claim := token.DecodeState(s.secret(ch)).Claim
	if claim == nil {
		t.Fatal("the claim is gone, and so was its holder")
	}
	if time.Since(claim.Time) > token.ClaimLifetime-5*time.Second {
		t.Skip("the machine is too slow: the lease was taken over when the claim had ended, which is another test")
	}
	first.Signal(syscall.SIGCONT)
	s.stored(ch)
	first.ended(patience) // it lost the lease
	s.whole(2, 0, ch, other)
}

// The leader comes back after its claim has ended. Its successor has tried the token, which was spent, and raised the alarm. The tokens are
// stored nevertheless, and the alarm ends by itself.
func TestLeaderPausedPastItsClaim(t *testing.T) {
	t.Parallel()
	s, first, _, ch := paused(t)
	s.is(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue)
	first.Signal(syscall.SIGCONT)
	s.stored(ch)
	first.ended(patience)
	s.whole(2, 1, ch)
}

// The claim is written, but the API server's answer to it takes longer than the claim lives. Another manager has refreshed meanwhile: the
// first must not call TikTok with a token that is spent.
func TestClaimConfirmedTooLate(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	slow := newSlowServer(t) // before the manager, which has to end before it
	first := s.newManager()
	s.kubeconfig(filepath.Dir(first.log), slow.URL)
	first.start()
	first.ready()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	slow.hold(http.MethodPut, "/secrets/"+ch.TokenSecretName())
	s.request(ch, "first")
	s.eventually("the claim", func() string {
		if s.secret(ch).Annotations[v1alpha1.RefreshClaimAnnotation] == "" {
			return "there is none"
		}
		return ""
	})
	s.manager()
	s.eventually("the second manager to refresh", func() string {
		if s.secret(ch).Annotations[v1alpha1.RefreshClaimAnnotation] != "" {
			return "the claim of the first still holds"
		}
		return ""
	})
	slow.release()
	s.eventually("the first manager to give up", func() string {
		if first.says("confirmed too late to be used") || s.sim.CountCalls(refreshEndpoint) > 1 {
			return ""
		}
		return "nothing of it in the log"
	})
	s.whole(1, 0, ch)
}
