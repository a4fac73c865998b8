package access_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tiktok-operator/tiktok-operator/internal/access"
)

// TestOnTheAPIServer uses real tokens and real roles: what an audience is, and that RBAC knows virtual subresources, is the API server's to say.
func TestOnTheAPIServer(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("make test sets KUBEBUILDER_ASSETS")
	}
	env := &envtest.Environment{}
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	c, err := client.New(cfg, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&corev1.ServiceAccount{ObjectMeta: meta("allowed")},
		&corev1.ServiceAccount{ObjectMeta: meta("other")},
		&rbacv1.Role{ObjectMeta: meta("authorize"), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"channels.tiktok-operator.io"}, Resources: []string{"tiktokchannels/authorization"}, Verbs: []string{"create"},
			ResourceNames: []string{"acme"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta("authorize"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "authorize"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "shop", Name: "allowed"}},
		},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	token := func(account, audience string) string {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
		if err := c.SubResource("token").Create(context.Background(), &corev1.ServiceAccount{ObjectMeta: meta(account)}, request); err != nil {
			t.Fatal(err)
		}
		return request.Status.Token
	}
	a, err := access.New(access.Options{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/namespaces/{namespace}/channels/{name}/authorization",
		a.Require(access.Rule{Verb: "create", Subresource: "authorization"}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
		})))
	for name, tc := range map[string]struct {
		token, path string
		want        int
	}{
		"allowed":           {token("allowed", access.DefaultAudience), path, http.StatusCreated},
		"another channel":   {token("allowed", access.DefaultAudience), "/v1/namespaces/shop/channels/acme2/authorization", http.StatusForbidden},
		"another namespace": {token("allowed", access.DefaultAudience), "/v1/namespaces/default/channels/acme/authorization", http.StatusForbidden},
		"no role":           {token("other", access.DefaultAudience), path, http.StatusForbidden},
		"another audience":  {token("allowed", "https://kubernetes.default.svc"), path, http.StatusUnauthorized},
		"made up":           {"made-up", path, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, tc.path, nil)
			r.Header.Set("Authorization", "Bearer "+tc.token)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}
