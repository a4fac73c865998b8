package faults

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const patience = 60 * time.Second // with a machine that is busy, not with the manager

// eventually polls until check has no complaint, and fails with its last.
func (s *stage) eventually(what string, check func() string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s: %s", what, complaint)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *stage) reload(ch *v1alpha1.TiktokChannel) *v1alpha1.TiktokChannel {
	s.t.Helper()
	if err := k8s.Get(s.t.Context(), client.ObjectKeyFromObject(ch), ch); err != nil {
		s.t.Fatalf("reading the channel: %v", err)
	}
	return ch
}

func (s *stage) secret(ch *v1alpha1.TiktokChannel) *corev1.Secret {
	s.t.Helper()
	secret := &corev1.Secret{}
	if err := k8s.Get(s.t.Context(), ch.TokenSecretKey(), secret); err != nil {
		s.t.Fatalf("reading the token Secret: %v", err)
	}
	return secret
}

func (s *stage) refreshToken(ch *v1alpha1.TiktokChannel) string {
	s.t.Helper()
	return string(s.secret(ch).Data[v1alpha1.RefreshTokenKey])
}

// is waits until a condition has a status.
func (s *stage) is(ch *v1alpha1.TiktokChannel, name string, status metav1.ConditionStatus) {
	s.t.Helper()
	s.eventually(name+" "+string(status), func() string {
		if c := condition(s.reload(ch), name); c.Status != status {
			return fmt.Sprintf("it is %s, %s: %s", c.Status, c.Reason, c.Message)
		}
		return ""
	})
}

// handled waits until a request for a refresh is answered.
func (s *stage) handled(ch *v1alpha1.TiktokChannel, request string) {
	s.t.Helper()
	s.eventually("an answer to the request for a refresh", func() string {
		if got := s.reload(ch).Status.LastHandledRefreshAt; got != request {
			return fmt.Sprintf("of %s: the last request that was answered is %q", ch.Name, got)
		}
		return ""
	})
}

// stored waits until the Secret holds a refresh token that TikTok accepts.
func (s *stage) stored(ch *v1alpha1.TiktokChannel) {
	s.t.Helper()
	s.eventually("the new tokens in the Secret", func() string {
		if s.sim.RefreshTokenWorks(s.refreshToken(ch)) {
			return ""
		}
		return "TikTok would refuse the refresh token that is there"
	})
}

// calls are the refreshes that TikTok was asked for. None may have used a token a second time, and at most so many were refused.
func (s *stage) calls(want, refused int) {
	s.t.Helper()
	tokens := map[string]int{}
	failed := 0
	for _, c := range s.sim.Calls(refreshEndpoint) {
		if c.Code != 0 || c.Status != 200 {
			failed++
		}
		tokens[c.Parameters["refresh_token"]]++
	}
	if got := s.sim.CountCalls(refreshEndpoint); got != want {
		s.t.Errorf("TikTok was asked for %d refreshes, want %d", got, want)
	}
	if failed != refused {
		s.t.Errorf("TikTok refused %d refreshes, want %d", failed, refused)
	}
	twice := 0
	for _, n := range tokens {
		twice += n - 1
	}
	if twice > refused {
		s.t.Errorf("%d refreshes spent a token that was spent before", twice)
	}
}

// whole checks, at the end of a test, that nothing was lost: TikTok was asked so many times and refused so many of them, the channels are
// well, nothing is left in a journal, and the next refresh of each succeeds.
func (s *stage) whole(want, refused int, channels ...*v1alpha1.TiktokChannel) {
	s.t.Helper()
	s.well(channels...)
	s.calls(want, refused)
	request := strconv.FormatInt(time.Now().UnixNano(), 10)
	for _, ch := range channels {
		s.request(ch, request)
	}
	for _, ch := range channels {
		s.handled(ch, request)
	}
	s.well(channels...)
	s.calls(want+len(channels), refused)
}

func (s *stage) well(channels ...*v1alpha1.TiktokChannel) {
	s.t.Helper()
	for _, ch := range channels {
		s.stored(ch)
		s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
		s.is(ch, v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse)
	}
	for _, m := range s.managers {
		s.eventually("an empty journal", func() string {
			if left := m.entries(); len(left) > 0 {
				return fmt.Sprintf("it holds %v", left)
			}
			return ""
		})
	}
}
