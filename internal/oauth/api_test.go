package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

func (f *fixture) callAPI(method, path string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle(oauth.APIPattern, f.oauth.API())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

const apiPath = "/v1/namespaces/shop/channels/acme/authorization"

func TestAPIMakesALink(t *testing.T) {
	f := newFixture(t, settings{prefix: "/tt"})
	ch := f.channel("shop", "acme")
	for epoch := range 2 { // the second time the channel is connected already
		w := f.callAPI(http.MethodPost, apiPath)
		if w.Code != http.StatusCreated || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v: %s", w.Code, w.Header(), w.Body)
		}
		var got map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		link := got["authorizationURL"]
		f.secret("link", link)
		if !strings.HasPrefix(link, f.app.AuthorizationStartURL()+"?link=") || len(got) != 2 {
			t.Fatalf("got %v", got)
		}
		if at, err := time.Parse(time.RFC3339, got["expiresAt"]); err != nil || !at.Equal(f.clock.Now().Add(tickets.LinkLifetime)) {
			t.Errorf("expires at %s", got["expiresAt"])
		}
		f.expect(f.open(f.browser(), link), oauth.ResultGranted)
		if got := f.tokens(ch).Annotations[v1alpha1.AuthorizationEpochAnnotation]; got != string(rune('1'+epoch)) {
			t.Errorf("epoch %s", got)
		}
	}
}

func TestAPIRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(f *fixture, ch *v1alpha1.TiktokChannel)
		method  string
		path    string
		status  int
		problem string
	}{
		"no such channel": {path: "/v1/namespaces/shop/channels/other/authorization", status: 404, problem: "not-found"},
		"GET":             {method: http.MethodGet, status: 405, problem: "method-not-allowed"},
		"channel being deleted": {prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
			if err := f.client.Delete(f.t.Context(), ch); err != nil {
				f.t.Fatal(err)
			}
		}, status: 410, problem: "channel-gone"},
		"no app": {prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
			if err := f.client.Delete(f.t.Context(), f.app); err != nil {
				f.t.Fatal(err)
			}
		}, status: 503, problem: "app-not-ready"},
		"namespace not allowed": {prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
			f.app.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesNone}
			f.update(f.app)
		}, status: 403, problem: "namespace-not-allowed"},
		"foreign token Secret": {prepare: func(f *fixture, ch *v1alpha1.TiktokChannel) {
			f.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: ch.TokenSecretName()}})
		}, status: 409, problem: "token-secret-unusable"},
		"API server away": {prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
			f.failGet(errors.New("connection refused"), func(client.Object) bool { return true })
		}, status: 503, problem: "unavailable"},
		"no keys": {prepare: func(f *fixture, _ *v1alpha1.TiktokChannel) {
			err := f.client.Delete(f.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: tickets.SecretName}})
			if err != nil {
				f.t.Fatal(err)
			}
		}, status: 503, problem: "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings{})
			ch := f.channel("shop", "acme")
			if tc.prepare != nil {
				tc.prepare(f, ch)
			}
			if tc.path == "" {
				tc.path = apiPath
			}
			if tc.method == "" {
				tc.method = http.MethodPost
			}
			w := f.callAPI(tc.method, tc.path)
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != tc.status || p.Status != tc.status || p.Type != "https://tiktok-operator.io/problems/"+tc.problem || p.Title == "" || p.Detail == "" {
				t.Errorf("%d %+v", w.Code, p)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %s", got)
			}
			if (tc.problem == "unavailable") != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
		})
	}
}
