package main

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

var shellBlock = regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n")

// TestReplyHowTo runs the how-to about replies as it stands, against the real binary, a real API server and the simulator.
func TestReplyHowTo(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "kubectl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the how-to needs %s, which this machine has not", tool)
		}
	}
	text, err := os.ReadFile("../../docs/how-to/reply-from-your-service.md")
	if err != nil {
		t.Fatal(err)
	}
	w := startWebhook(t)
	w.Ready(w.probes)
	sim := connected(t, w)
	for _, name := range []string{"messenger", "reader"} {
		grantable(t, name)
	}
	dir := t.TempDir()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "parcel.png"), picture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range shellBlock.FindAllSubmatch(text, -1) {
		script.Write(append(block[1], 10))
	}
	run := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", strings.ReplaceAll(script.String(), "localhost:8443", w.private))
	run.Dir, run.Env = dir, append(os.Environ(), "KUBECONFIG="+suite.Kubeconfig())
	output, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{`"said": "Is it still there?"`, `"status":"sent"`, `"type":"https://tiktok-operator.io/problems/message-mixed"`} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the output has no %s:\n%s", want, output)
		}
	}
	if sent := sim.Conversations("biz-0001")[0].SentSince; sent != 4 { // a text, an image, a card, a quoting text
		t.Errorf("%d messages were sent", sent)
	}
	w.Ends()
}

// connected makes the channel of the samples as the manager leaves it, and lets a user write. What is returned is TikTok.
func connected(t *testing.T, w *webhook) *simulator.Simulator {
	t.Helper()
	sim := simulator.New(simulator.Options{AppID: "how-to", AppSecret: appSecret})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	issued := sim.IssueToken("biz-0001")
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "my-app"}, Spec: v1alpha1.TiktokAppSpec{
		AppID: "how-to", PublicURL: "https://tiktok.example.com", Endpoints: &v1alpha1.AppEndpoints{API: server.URL + "/open_api/v1.3/"},
		SecretRef: v1alpha1.AppSecretReference{Namespace: "default", Name: "how-to"},
	}}
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme"},
		Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: "my-app"}},
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "how-to"}, StringData: map[string]string{v1alpha1.DefaultAppSecretKey: appSecret},
	}
	for _, object := range []client.Object{secret, app, ch} {
		if err := suite.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	base := ch.DeepCopy()
	ch.Status.BusinessID = issued.OpenID
	if err := suite.Client.Status().Patch(t.Context(), ch, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	if err := tokenstore.New(tokenstore.Options{Client: suite.Client, Holder: "test"}).Authorize(t.Context(), ch, token.Tokens{
		AccessToken: tiktok.Secret(issued.AccessToken), RefreshToken: tiktok.Secret(issued.RefreshToken), BusinessID: issued.OpenID,
		Scopes: issued.Scopes, ObtainedAt: now, AccessTokenExpiresAt: now.Add(issued.ExpiresIn), RefreshTokenExpiresAt: now.Add(issued.RefreshTokenExpiresIn),
	}, 0); err != nil {
		t.Fatal(err)
	}
	sim.SetWebhook("DIRECT_MESSAGE", "http://"+w.public+"/webhooks/my-app")
	w.Eventually("the user's message to be taken for the channel", func() string {
		d, err := sim.SendEvent(t.Context(), simulator.Event{Text: "Is it still there?", NoRetry: true})
		if err != nil || d.Status != http.StatusOK {
			return d.Error
		}
		return ""
	})
	return sim
}

// grantable installs one of the ClusterRoles that come with the operator.
func grantable(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("../../config/rbac/channel_" + name + "_role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(text, role); err != nil {
		t.Fatal(err)
	}
	role.Name = "tiktok-operator-" + role.Name // as config/default names it
	if err := suite.Client.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
}
