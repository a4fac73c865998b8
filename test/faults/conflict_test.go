package faults

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// Somebody edits the token Secret while TikTok answers. The edit stays, and the new tokens are stored.
func TestSecretLabelledDuringARefresh(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	happened := s.whenAnswering(func() {
		secret := s.secret(ch)
		secret.Labels["team"] = "growth"
		if err := k8s.Update(t.Context(), secret); err != nil {
			t.Error(err)
		}
	})
	s.request(ch, "first")
	<-happened
	s.stored(ch)
	s.whole(1, 0, ch)
	if got := s.secret(ch).Labels["team"]; got != "growth" {
		t.Errorf("the label is %q", got)
	}
}

// A person authorizes the channel while TikTok answers. The person's tokens stay.
func TestAuthorizedDuringARefresh(t *testing.T) {
	t.Parallel()
	s := newStage(t).open()
	m := s.manager()
	ch := s.channel(1, later())
	s.is(ch, v1alpha1.ReadyCondition, metav1.ConditionTrue)
	var newer string
	happened := s.whenAnswering(func() { newer = s.authorize(ch, later()).RefreshToken.Reveal() })
	s.request(ch, "first")
	<-happened
	m.tells(`"result":"Superseded"`)
	if got := s.refreshToken(ch); !s.sim.RefreshTokenWorks(got) {
		t.Error("TikTok would refuse the refresh token that is there")
	} else if got != newer && s.sim.CountCalls(refreshEndpoint) == 1 {
		t.Error("the refresh replaced the newer authorization")
	}
	// The request is answered with the person's tokens, in a refresh of their own.
	s.handled(ch, "first")
	s.whole(2, 0, ch)
}

// The person's authorization arrives while the manager is cut off, and the manager is killed: the replay gives way too.
func TestAuthorizedBeforeTheReplay(t *testing.T) {
	t.Parallel()
	s, m, ch := cutOff(t)
	m.Kill()
	newer := s.authorize(ch, later()).RefreshToken.Reveal()
	m.proxy.restore()
	s.answering.Store(nil)
	m.start()
	m.tells(`"result":"Superseded"`)
	s.handled(ch, "first")
	if s.refreshToken(ch) == newer {
		t.Error("the request was not answered with the person's tokens")
	}
	s.whole(2, 0, ch)
}
