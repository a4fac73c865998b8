package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
)

// userSecret is the Secret that a GitOps tool syncs.
func (b *bench) userSecret(refreshToken string) *corev1.Secret {
	b.t.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: b.ch.Name + "-mine"},
		Data:       map[string][]byte{v1alpha1.RefreshTokenKey: []byte(refreshToken)},
	}
	if err := k8s.Create(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { remove(b.t, s) })
	return s
}

func importing(ch *v1alpha1.TiktokChannel) {
	ch.Spec.ImportTokensFrom = &v1alpha1.SecretReference{Name: ch.Name + "-mine"}
}

func TestImport(t *testing.T) {
	b := newBench(t, importing)
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonImportSecretNotFound)
	b.absent(v1alpha1.StalledCondition)

	issued := b.sim.IssueToken("biz-0001")
	mine := b.userSecret(issued.RefreshToken)
	b.sim.ResetCalls()
	b.reconcile()
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.works()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if st := reload(t, b.ch).Status; st.BusinessID != "biz-0001" || st.Username != "acme" || len(st.GrantedScopes) != 9 {
		t.Errorf("not all was learned: %+v", st)
	}
	version := reload(t, mine).ResourceVersion

	t.Run("a re-sync of the stale copy does no harm", func(t *testing.T) {
		synced := reload(t, mine)
		metav1.SetMetaDataAnnotation(&synced.ObjectMeta, "sync", "again")
		if err := k8s.Update(t.Context(), synced); err != nil {
			t.Fatal(err)
		}
		if synced.ResourceVersion == version {
			t.Fatal("the Secret did not change")
		}
		b.clock.Step(time.Hour)
		b.reconcile()
		b.reconcileWith(b.manager("restarted"))
		b.calls(refreshEndpoint, 1)
		b.works()
	})
	t.Run("nor does other stale content", func(t *testing.T) {
		synced := reload(t, mine)
		synced.Data[v1alpha1.RefreshTokenKey] = []byte("an even older token")
		if err := k8s.Update(t.Context(), synced); err != nil {
			t.Fatal(err)
		}
		b.clock.Step(time.Hour)
		b.reconcile()
		b.reconcile()
		b.calls(refreshEndpoint, 2) // it was tried once, and ignored
		b.works()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		if e := strings.Join(b.drain(), "\n"); strings.Count(e, v1alpha1.EventImportIgnored) > 1 {
			t.Errorf("events %q", e)
		}
	})
	t.Run("and new content is taken", func(t *testing.T) {
		synced := reload(t, mine)
		synced.Data[v1alpha1.RefreshTokenKey] = []byte(b.sim.IssueToken("biz-0001").RefreshToken)
		if err := k8s.Update(t.Context(), synced); err != nil {
			t.Fatal(err)
		}
		b.clock.Step(time.Hour)
		b.reconcile()
		b.reconcile()
		b.calls(refreshEndpoint, 3)
		b.works()
	})
	t.Run("but not another business's", func(t *testing.T) {
		before := string(b.secret().Data[v1alpha1.RefreshTokenKey])
		synced := reload(t, mine)
		synced.Data[v1alpha1.RefreshTokenKey] = []byte(b.sim.IssueToken("biz-other").RefreshToken)
		if err := k8s.Update(t.Context(), synced); err != nil {
			t.Fatal(err)
		}
		b.clock.Step(time.Hour)
		b.reconcile()
		if string(b.secret().Data[v1alpha1.RefreshTokenKey]) != before {
			t.Error("the channel's own tokens were replaced")
		}
		b.works()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
}

func TestImportOfADeadToken(t *testing.T) {
	b := newBench(t, importing)
	mine := b.userSecret("spent long ago")
	for range 5 {
		b.reconcile()
		b.clock.Step(time.Hour)
	}
	b.calls(refreshEndpoint, 1)
	b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonImportRefused)
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	if reload(t, b.ch).Status.AuthorizationURL == "" {
		t.Error("no authorizationURL")
	}
	mine = reload(t, mine)
	mine.Data[v1alpha1.RefreshTokenKey] = []byte(b.sim.IssueToken("biz-0001").RefreshToken)
	if err := k8s.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	b.works()
}

func TestImportSecretWithoutToken(t *testing.T) {
	b := newBench(t, importing)
	b.userSecret("")
	b.reconcile()
	b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonImportSecretInvalid)
	b.calls(refreshEndpoint, 0)
}

// A wrong app secret is the app's fault: no channel is asked to authorize again, and all go on by themselves.
func TestWrongAppSecretBlamesTheApp(t *testing.T) {
	b := connected(t)
	b.sim.SetAppSecret("rotated")
	b.clock.Step(16 * time.Hour)
	for range 10 {
		b.reconcile()
	}
	b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, "") // the access token lives
	b.calls(refreshEndpoint, 1)                               // then the channel stops calling
	b.sim.SetAppSecret("sim-secret")
	b.r.Suspects.Clear(b.app.Name) // as the app's reconciler does
	b.reconcile()
	b.calls(refreshEndpoint, 2)
	b.works()
}

func TestDeletion(t *testing.T) {
	t.Run("Revoke", func(t *testing.T) {
		b := connected(t, func(ch *v1alpha1.TiktokChannel) { ch.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
		refresh := string(b.secret().Data[v1alpha1.RefreshTokenKey])
		b.sim.InjectFault(simulator.Fault{Endpoint: "tt_user/oauth2/revoke/", Times: 1, Status: 503})
		if err := k8s.Delete(t.Context(), b.ch); err != nil {
			t.Fatal(err)
		}
		if again := b.reconcile(); again != revokeEvery {
			t.Fatalf("comes back after %s while TikTok is away", again)
		}
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonDeleting)
		b.reconcile()
		if b.sim.RefreshTokenWorks(refresh) {
			t.Error("the tokens were not revoked")
		}
		if err := k8s.Get(t.Context(), b.ch.TokenSecretKey(), &corev1.Secret{}); err == nil {
			t.Error("the token Secret is still there")
		}
	})
	t.Run("Retain, and adoption by a channel of the same name", func(t *testing.T) {
		b := connected(t)
		if err := k8s.Delete(t.Context(), b.ch); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
		b.works()
		b.ch = newChannel(t, unmanaged, b.ch.Name, b.app.Name)
		b.reconcile()
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		b.calls(refreshEndpoint, 1) // TikTok says whose the tokens are, not the Secret
		b.works()
	})
}
