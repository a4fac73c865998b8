package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// reader is a service account that may read the messages and the events of channels; it returns its token.
func reader(t *testing.T) string {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "default", Name: "reader"}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	for _, object := range []client.Object{
		account,
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{v1alpha1.Group}, Resources: []string{"tiktokchannels/messages"}, Verbs: []string{"get", "list"}},
			{APIGroups: []string{v1alpha1.Group}, Resources: []string{"tiktokchannels/events"}, Verbs: []string{"watch"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "reader"}},
		},
	} {
		if err := suite.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"tiktok-operator"}}}
	if err := suite.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// A stream of events is no reason to end late: the process ends it.
func TestStreamsEndWithTheProcess(t *testing.T) {
	token, app := reader(t), newApp(t)
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "streamed"},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: app.Name}},
	}
	if err := suite.Client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	w := startWebhook(t)
	w.Ready(w.probes)
	visitor := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // self-signed
	get := func(path, bearer string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.private+"/v1/namespaces/default/channels/streamed"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := visitor.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	if resp := get("/events", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a visitor without a token: %s", resp.Status)
	}
	list := get("/conversations", token)
	if text, _ := io.ReadAll(list.Body); list.StatusCode != http.StatusOK || strings.TrimSpace(string(text)) != `{"items":[]}` {
		t.Errorf("%s %s", list.Status, text)
	}
	stream := get("/events", token)
	if stream.StatusCode != http.StatusOK || stream.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", stream.Status, stream.Header)
	}
	w.Terminate()
	if text, err := io.ReadAll(stream.Body); err != nil || !strings.HasPrefix(string(text), "retry: ") {
		t.Errorf("the stream ends with %q, %v", text, err)
	}
	w.Ends()
}
