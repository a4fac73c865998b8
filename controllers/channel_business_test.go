package controllers

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

const victim = "biz-0002"

// written puts a token Secret there by hand, as a tenant may, or a restored backup.
func (b *bench) written(issued simulator.Token, business string) {
	b.t.Helper()
	tokens := asTokens(issued, b.clock.Now())
	tokens.BusinessID = business
	ch := reload(b.t, b.ch)
	store := tokenstore.New(tokenstore.Options{Client: k8s, Holder: "tenant"})
	epoch, err := store.Epoch(b.t.Context(), ch)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := store.Authorize(b.t.Context(), ch, tokens, epoch); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) holds(business string, want bool) {
	b.t.Helper()
	_, uid, held, err := b.r.Reservations.Holder(b.t.Context(), business)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := held && uid == b.ch.UID; got != want {
		b.t.Fatalf("the channel holds %s: %t, want %t", business, got, want)
	}
	if got := reload(b.t, b.ch).Status.BusinessID == business; got != want {
		b.t.Fatalf("status.businessID is %s: %t, want %t", business, got, want)
	}
}

// TestSecretThatClaimsAnotherBusiness: a tenant writes a token Secret with somebody else's business id. TikTok is asked whose the tokens
// are; no word of the Secret gives the channel the other's events, nor keeps the other from its own.
func TestSecretThatClaimsAnotherBusiness(t *testing.T) {
	t.Run("with tokens of its own", func(t *testing.T) {
		b := newBench(t)
		b.reconcile()
		b.written(b.sim.IssueToken(simulator.DefaultBusiness.OpenID), victim)
		b.reconcile()
		b.calls(refreshEndpoint, 1)
		b.holds(victim, false)
		b.holds(simulator.DefaultBusiness.OpenID, true)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
	t.Run("with invented tokens", func(t *testing.T) {
		b := newBench(t)
		b.reconcile()
		b.written(simulator.Token{AccessToken: "act.x", RefreshToken: "rft.x", ExpiresIn: time.Hour, RefreshTokenExpiresIn: time.Hour * 8760}, victim)
		b.reconcile()
		b.holds(victim, false)
		b.want(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonRefreshTokenRefused)
	})
	t.Run("while TikTok is away", func(t *testing.T) {
		b := newBench(t)
		b.reconcile()
		b.sim.InjectFault(simulator.Fault{Endpoint: refreshEndpoint, Status: http.StatusServiceUnavailable})
		b.written(b.sim.IssueToken(simulator.DefaultBusiness.OpenID), victim)
		b.reconcile()
		b.holds(victim, false)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonBusinessUnconfirmed)
		b.want(v1alpha1.AuthorizedCondition, metav1.ConditionFalse, v1alpha1.ReasonBusinessUnconfirmed)
		b.sim.ClearFaults()
		b.clock.Step(15 * time.Minute)
		b.reconcile()
		b.holds(simulator.DefaultBusiness.OpenID, true)
	})
	t.Run("while the channel is suspended", func(t *testing.T) {
		b := newBench(t, func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = true })
		b.reconcile()
		b.written(b.sim.IssueToken(victim), victim)
		b.reconcile()
		b.calls(refreshEndpoint, 0)
		b.holds(victim, false)
		b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = false })
		b.reconcile()
		b.calls(refreshEndpoint, 1)
		b.holds(victim, true)
	})
	t.Run("after its own was connected", func(t *testing.T) {
		b := connected(t)
		s := b.secret()
		s.Data[v1alpha1.BusinessIDKey] = []byte(victim)
		if err := k8s.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		b.reconcile()
		b.holds(victim, false)
		b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonBusinessMismatch)
	})
	t.Run("with an import beside it", func(t *testing.T) {
		b := newBench(t, importing)
		b.throughProxy(withoutOpenID)
		b.reconcile()
		b.written(b.sim.IssueToken(simulator.DefaultBusiness.OpenID), victim)
		b.userSecret(b.sim.IssueToken(simulator.DefaultBusiness.OpenID).RefreshToken)
		b.reconcile()
		b.reconcile()
		b.holds(victim, false)
	})
}

// TestAnswerWithoutABusiness: TikTok's answer does not name the business. It is not asked again and again, and what the Secret says does not
// count for more.
func TestAnswerWithoutABusiness(t *testing.T) {
	b := newBench(t)
	b.throughProxy(withoutOpenID)
	b.reconcile()
	b.written(b.sim.IssueToken(simulator.DefaultBusiness.OpenID), victim)
	for range 5 {
		b.reconcile()
		b.clock.Step(time.Minute)
	}
	b.calls(refreshEndpoint, 1)
	b.holds(victim, false)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonBusinessUnconfirmed)
	b.works()
	b.clock.Step(pollUnnamed)
	b.reconcile()
	b.calls(refreshEndpoint, 2)
	b.holds(victim, false)
}

// TestBusinessIsConfirmedOnce: the write of the status is lost after TikTok has named the business. The Lease remembers it.
func TestBusinessIsConfirmedOnce(t *testing.T) {
	b := newBench(t)
	b.reconcile()
	b.written(b.sim.IssueToken(victim), victim)
	b.writes.failWith(func(kind string) error {
		if kind == "TiktokChannel/status" {
			return errAway
		}
		return nil
	})
	for range 3 {
		if _, err := b.r.reconcileOnce(t, b); err == nil {
			t.Fatal("the lost write is no error")
		}
	}
	b.writes.failWith(nil)
	b.r = b.manager("second")
	b.reconcile()
	b.calls(refreshEndpoint, 1)
	b.holds(victim, true)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// throughProxy puts a proxy between the channel and TikTok that changes the data of answers to refreshes.
func (b *bench) throughProxy(change func(data map[string]any)) {
	b.t.Helper()
	target, err := url.Parse(b.app.Spec.Endpoints.API)
	if err != nil {
		b.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.Path, refreshEndpoint) {
				return nil
			}
			var answer map[string]any
			if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
				return err
			}
			if data, ok := answer["data"].(map[string]any); ok {
				change(data)
			}
			text, err := json.Marshal(answer)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			r.Header.Del("Content-Length")
			return err
		},
	}
	server := httptest.NewServer(proxy)
	b.t.Cleanup(server.Close)
	b.editApp(func(app *v1alpha1.TiktokApp) {
		app.Spec.Endpoints.API = server.URL + target.Path
	})
	b.appValid(metav1.ConditionTrue)
	b.sim.ResetCalls()
}

func withoutOpenID(data map[string]any) { delete(data, "open_id") }
