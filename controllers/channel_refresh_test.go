package controllers

import (
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func secretOf(s string) tiktok.Secret { return tiktok.Secret(s) }

func TestNewChannelWaitsForAuthorization(t *testing.T) {
	b := newBench(t)
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAwaitingAuthorization)
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonAwaitingAuthorization)
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	b.absent(v1alpha1.StalledCondition)
	link := reload(t, b.ch).Status.AuthorizationURL
	if !strings.HasPrefix(link, "http://127.0.0.1:8080/oauth/start?link=") {
		t.Fatalf("authorizationURL %q", link)
	}
	b.writes.take()
	b.clock.Step(6 * time.Hour)
	b.reconcile()
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes while nothing changed", n)
	}
	b.clock.Step(7 * time.Hour)
	b.reconcile()
	if renewed := reload(t, b.ch).Status.AuthorizationURL; renewed == link {
		t.Error("the link was not renewed before its end")
	}
	b.calls("", 0)
}

func TestAuthorizedChannelIsReady(t *testing.T) {
	b := connected(t)
	ch := reload(t, b.ch)
	st := ch.Status
	if st.BusinessID != "biz-0001" || st.Username != "acme" || st.DisplayName != "Acme Store" || st.AuthorizationURL != "" ||
		len(st.GrantedScopes) != 9 || st.NextRefreshTime == nil || st.LastRefreshTime == nil || st.AuthorizationEpoch != 1 {
		t.Fatalf("status %+v", st)
	}
	b.absent(v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
	for range 5 {
		b.reconcile()
	}
	if n := b.writes.take(); n != 0 {
		t.Errorf("an idle channel cost %d writes", n)
	}
	b.calls("", 0)
}

func TestRefreshCosts(t *testing.T) {
	b := connected(t)
	again := b.reconcile()
	if again < 15*time.Hour || again > 16*time.Hour+time.Second {
		t.Fatalf("comes back after %s, want within a tenth of the margin before 16h", again)
	}
	b.clock.Step(again)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.calls("", 1)
	if n := b.writes.take(); n > 3 {
		t.Errorf("a refresh cost %d writes, want at most 3", n)
	}
	if e := b.drain(); len(e) != 0 {
		t.Errorf("a routine refresh raised events: %q", e)
	}
	b.works()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if st := reload(t, b.ch).Status; !st.AccessTokenExpiresAt.Time.Equal(b.clock.Now().Add(24 * time.Hour).Truncate(time.Second)) {
		t.Errorf("expires at %s", st.AccessTokenExpiresAt)
	}
}

func TestRefusedTokenNeedsAPerson(t *testing.T) {
	b := connected(t)
	b.sim.RevokeBusiness("biz-0001")
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, v1alpha1.ReasonRefreshTokenRefused)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonRefreshTokenRefused)
	b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonRefreshTokenRefused)
	if reload(t, b.ch).Status.AuthorizationURL == "" {
		t.Error("no authorizationURL")
	}
	if events := strings.Join(b.drain(), "\n"); strings.Count(events, v1alpha1.EventReauthorizationRequired) != 1 {
		t.Errorf("events %q", events)
	}
	b.calls(refreshEndpoint, 1)
	b.calls(listEndpoint, 1) // the app's credentials were checked first

	t.Run("and is never retried by itself", func(t *testing.T) {
		for range 50 {
			b.clock.Step(time.Hour)
			b.reconcile()
		}
		b.reconcileWith(b.manager("restarted"))
		b.calls(refreshEndpoint, 1)
	})
	t.Run("but once more on request", func(t *testing.T) {
		b.annotate(v1alpha1.RefreshRequestedAtAnnotation, "now")
		b.reconcile()
		b.reconcile()
		b.calls(refreshEndpoint, 2)
		if got := reload(t, b.ch).Status.LastHandledRefreshAt; got != "now" {
			t.Errorf("lastHandledRefreshAt %q", got)
		}
	})
	t.Run("and when the spec changes", func(t *testing.T) {
		b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = true })
		b.reconcile()
		b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = false })
		b.reconcile()
		b.calls(refreshEndpoint, 3)
	})
	t.Run("until somebody authorizes", func(t *testing.T) {
		b.authorize()
		b.reconcile()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
		b.absent(v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition)
		if st := reload(t, b.ch).Status; st.AuthorizationURL != "" || st.AuthorizationEpoch != 2 || st.BusinessID != "biz-0001" {
			t.Errorf("status %+v", st)
		}
		b.works()
	})
}

func TestTransientFailuresBackOff(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"HTTP 502":      {Status: 502},
		"TikTok 51065":  {Code: 51065},
		"a proxy's 403": {Status: 403},
		"html":          {Garbage: "html"},
		"not TikTok's":  {Garbage: "json"},
	} {
		t.Run(name, func(t *testing.T) {
			b := connected(t)
			fault.Endpoint, fault.Times = refreshEndpoint, 3
			if fault.Garbage != "" {
				fault.Garbage, fault.Status = "", 200 // processed answers would rotate the token away; here the proxy answers itself
			}
			b.sim.InjectFault(fault)
			b.clock.Step(16 * time.Hour)
			for i, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
				again := b.reconcile()
				b.calls(refreshEndpoint, i+1)
				if again < want || again > want+2*time.Second {
					t.Fatalf("failure %d comes back after %s, want %s", i+1, again, want)
				}
				b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "") // the access token lives
				b.want(v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonRefreshFailing)
				if f := reload(t, b.ch).Status.RefreshFailures; f == nil || f.Count != int32(i+1) {
					t.Fatalf("refreshFailures %+v", f)
				}
				// A restart forgets no back-off.
				b.reconcileWith(b.manager("restarted"))
				b.calls(refreshEndpoint, i+1)
				b.clock.Step(again)
			}
			b.reconcile()
			b.calls(refreshEndpoint, 4)
			b.want(v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenFresh)
			if f := reload(t, b.ch).Status.RefreshFailures; f != nil {
				t.Errorf("refreshFailures %+v stay after a success", f)
			}
			b.works()
		})
	}
}

func TestExpiredWhileFailing(t *testing.T) {
	b := connected(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Status: 503})
	for range 30 {
		b.clock.Step(time.Hour)
		b.reconcile()
	}
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonTokenExpired)
	b.want(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenExpired)
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, "")
	b.absent(v1alpha1.StalledCondition)
	b.sim.ClearFaults()
	b.clock.Step(time.Hour)
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestThrottlingPausesTheApp(t *testing.T) {
	b := connected(t)
	b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Times: 1, Code: 40100})
	b.clock.Step(16 * time.Hour)
	again := b.reconcile()
	if again < 5*time.Minute || again > 5*time.Minute+5*time.Second {
		t.Fatalf("comes back after %s, want TikTok's five minutes", again)
	}
	b.annotate(v1alpha1.RefreshRequestedAtAnnotation, "1") // not even a person's request goes before
	if again := b.reconcile(); again < 4*time.Minute {
		t.Fatalf("comes back after %s", again)
	}
	b.calls(refreshEndpoint, 1)
	b.clock.Step(again)
	b.reconcile()
	b.calls(refreshEndpoint, 2)
	b.works()
}

func TestRefreshOnRequest(t *testing.T) {
	b := connected(t)
	b.annotate("example.com/unrelated", "x")
	b.reconcile()
	b.calls("", 0)
	b.annotate(v1alpha1.RefreshRequestedAtAnnotation, "2026-11-23T12:00:00Z")
	b.reconcile()
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	if got := reload(t, b.ch).Status.LastHandledRefreshAt; got != "2026-11-23T12:00:00Z" {
		t.Errorf("lastHandledRefreshAt %q", got)
	}
	// The Secret remembers the request too: a lost status write repeats nothing.
	ch := reload(t, b.ch)
	ch.Status.LastHandledRefreshAt = ""
	if err := k8s.Status().Update(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	b.calls(refreshEndpoint, 1)
}

func TestSuspend(t *testing.T) {
	b := connected(t)
	b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = true })
	b.clock.Step(100 * time.Hour)
	b.reconcile()
	b.calls("", 0)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	b.absent(v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition)
	b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = false })
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestLostStatusWriteRepeatsNothing(t *testing.T) {
	b := connected(t)
	failures := 3
	b.writes.failWith(func(kind string) error {
		if kind == "TiktokChannel/status" && failures > 0 {
			failures--
			return conflict("tiktokchannels", b.ch.Name)
		}
		return nil
	})
	b.clock.Step(16 * time.Hour)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.works()
}

// Two managers that both believe that they lead: whoever claims first refreshes, the other does not.
func TestTwoManagersRefreshOnce(t *testing.T) {
	for range 5 {
		b := connected(t)
		b.clock.Step(16 * time.Hour)
		managers := []*TiktokChannelReconciler{b.manager("a"), b.manager("b"), b.manager("c")}
		var wg sync.WaitGroup
		for _, r := range managers {
			wg.Go(func() {
				for range 5 {
					_, _ = r.reconcileOnce(t, b)
				}
			})
		}
		wg.Wait()
		b.calls(refreshEndpoint, 1)
		b.works()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		remove(t, b.ch)
		remove(t, b.secret())
		remove(t, b.app)
		remove(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: b.app.Name}})
	}
}

func TestClaimOfADeadManagerEnds(t *testing.T) {
	b := connected(t)
	b.clock.Step(16 * time.Hour)
	dead := b.manager("dead")
	snap, err := dead.Store.GetLive(t.Context(), b.ch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Store.Claim(t.Context(), b.ch, snap); err != nil {
		t.Fatal(err)
	}
	again := b.reconcile()
	b.calls(refreshEndpoint, 0)
	if again > 31*time.Second {
		t.Fatalf("comes back after %s, want when the claim ends", again)
	}
	b.clock.Step(again)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.works()
}

func TestEditedAndForeignSecrets(t *testing.T) {
	t.Run("deleted", func(t *testing.T) {
		b := connected(t)
		remove(t, b.secret())
		b.reconcile()
		b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretMissing)
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretMissing)
		b.authorize()
		b.reconcile()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
		if got := reload(t, b.ch).Status.AuthorizationEpoch; got != 2 {
			t.Errorf("epoch %d: an old link could work again", got)
		}
	})
	t.Run("somebody else's", func(t *testing.T) {
		b := newBench(t)
		foreign := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: b.ch.TokenSecretName()}, StringData: map[string]string{"password": "x"},
		}
		if err := k8s.Create(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretNotOwned)
		if got := b.secret(); got.ResourceVersion != foreign.ResourceVersion {
			t.Error("the foreign Secret was touched")
		}
		if reload(t, b.ch).Status.AuthorizationURL != "" {
			t.Error("an authorization is offered that could not be stored")
		}
	})
	t.Run("immutable", func(t *testing.T) {
		b := connected(t)
		secret := b.secret()
		immutable := true
		secret.Immutable = &immutable
		if err := k8s.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		b.clock.Step(16 * time.Hour)
		b.reconcile()
		b.calls("", 0)
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretNotWritable)
	})
	t.Run("refresh token removed", func(t *testing.T) {
		b := connected(t)
		secret := b.secret()
		delete(secret.Data, v1alpha1.RefreshTokenKey)
		if err := k8s.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
		b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, "")
	})
	t.Run("expiry scribbled over", func(t *testing.T) {
		b := connected(t)
		secret := b.secret()
		secret.Data[v1alpha1.AccessTokenExpiresAtKey] = []byte("tomorrow")
		if err := k8s.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
		b.calls(refreshEndpoint, 1)
		b.works()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
	t.Run("two channels name one Secret", func(t *testing.T) {
		b := connected(t)
		second := newChannel(t, unmanaged, "second-of-one-secret", b.app.Name, func(ch *v1alpha1.TiktokChannel) {
			ch.Spec.TokenSecretRef = &v1alpha1.SecretReference{Name: b.ch.TokenSecretName()}
		})
		first := b.ch
		b.ch = second
		b.reconcile()
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretNotOwned)
		b.ch = first
		b.works()
	})
}

func TestOneBusinessOneChannel(t *testing.T) {
	b := connected(t)
	first := b.ch
	b.ch = newChannel(t, unmanaged, "second-of-one-business", b.app.Name)
	b.written(b.sim.IssueToken(simulator.DefaultBusiness.OpenID), simulator.DefaultBusiness.OpenID)
	b.reconcile()
	b.clock.Step(time.Hour)
	b.reconcile()
	b.calls(refreshEndpoint, 0) // what is not the channel's it does not refresh for
	b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonBusinessInUse)
	if st := reload(t, b.ch).Status; st.BusinessID != "" || strings.Contains(st.Conditions[0].Message, first.Name) {
		t.Errorf("status %+v", st)
	}
	second := b.ch
	b.ch = first
	if err := k8s.Delete(t.Context(), b.ch); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	b.ch = second
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
}

func TestScopesMissing(t *testing.T) {
	b := connected(t)
	b.editApp(func(app *v1alpha1.TiktokApp) { app.Spec.Scopes = append(app.Spec.Scopes, "video.list") })
	b.reconcile()
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, v1alpha1.ReasonScopesMissing)
	b.calls(refreshEndpoint, 0)
	b.editApp(func(app *v1alpha1.TiktokApp) { app.Spec.Scopes = app.Spec.Scopes[:9] })
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
}

func TestRefreshTokenNearItsEnd(t *testing.T) {
	b := connected(t)
	secret := b.secret()
	secret.Data[v1alpha1.RefreshTokenExpiresAtKey] = []byte(b.clock.Now().Add(13 * 24 * time.Hour).UTC().Format(time.RFC3339))
	if err := k8s.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	b.reconcile()
	b.want(v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonRefreshTokenExpiring)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	if e := strings.Join(b.drain(), "\n"); strings.Count(e, v1alpha1.EventRefreshTokenExpiring) != 1 {
		t.Errorf("events %q", e)
	}
}

// Thousands may wait for their turn at the app's rate limit: none of them tells so in its status.
func TestWaitingForATurnWritesNothing(t *testing.T) {
	b := connected(t)
	due := reload(t, b.ch).Status.NextRefreshTime
	b.clock.Step(17 * time.Hour)
	b.r.Apps.Limiter(b.app).Pause(b.clock.Now().Add(time.Minute))
	for range 3 {
		if again := b.reconcile(); again <= 0 || again > time.Minute+time.Second {
			t.Fatalf("comes back after %s", again)
		}
	}
	b.calls("", 0)
	if n := b.writes.take(); n != 0 {
		t.Errorf("waiting cost %d writes", n)
	}
	if got := reload(t, b.ch).Status.NextRefreshTime; !got.Equal(due) {
		t.Errorf("nextRefreshTime is %v, was %v", got, due)
	}
	b.clock.Step(time.Minute + time.Second)
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	if n := b.writes.take(); n > 3 {
		t.Errorf("the refresh cost %d writes", n)
	}
	b.works()
}
