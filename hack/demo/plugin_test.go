package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// TestPlugin uses kubectl tiktok as a person does, from the first link to a reply.
func TestPlugin(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("it needs a control plane of its own, and KUBECONFIG names another")
	}
	t.Chdir(filepath.Join("..", ".."))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{tokenLife: time.Hour, logLevel: "info"}}}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	must(t, "opening the stage", g.open(ctx))
	must(t, "create", g.create(ctx))
	must(t, "an account", account(ctx, g))
	api := []string{"--api-url=" + g.private, "--api-ca-file=" + certificate(t, g.private), "--as-service-account=support"}
	kubectl := func(code int, args ...string) (out, errs string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		got := plugin.Main(ctx, "test", append([]string{"--kubeconfig=" + g.kubeconfig, "-n=default"}, args...), &stdout, &stderr)
		if got != code {
			t.Fatalf("kubectl tiktok %s ended with %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout.String(), stderr.String())
		}
		return stdout.String(), stderr.String()
	}
	has := func(what, text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q:\n%s", what, part, text)
			}
		}
	}

	link, _ := kubectl(0, "authorize", "demo")
	has("authorize", link, g.public)
	fresh, _ := kubectl(0, append([]string{"authorize", "demo", "--fresh"}, api...)...)
	has("authorize --fresh", fresh, g.public)
	_, errs := kubectl(1, "authorize", "demo", "--wait", "--timeout=1s")
	has("authorize --wait without a person", errs, "not within 1s", "Ready=False")
	must(t, "authorize", g.authorize(ctx))
	_, errs = kubectl(0, "authorize", "demo", "--fresh", "--wait", api[0], api[1], api[2])
	has("authorize --wait", errs, "Ready=True")

	table, _ := kubectl(0, "status")
	has("status", table, "demo", "True")
	screen, _ := kubectl(0, append([]string{"status", "demo"}, api...)...)
	has("status demo", screen, "biz-0001", "TokenFresh", "Access token expires", "WAITING", "EVENT", "Authorized")
	if strings.Contains(screen, "cannot be read") {
		t.Errorf("status demo: %s", screen)
	}
	screen, _ = kubectl(0, "status", "demo", "--api-url=https://127.0.0.1:1")
	has("status demo without the private API", screen, "biz-0001", "What waits for the sinks cannot be read")
	screen, _ = kubectl(0, "status", "demo", "-o", "yaml")
	has("status demo -o yaml", screen, "kind: TiktokChannel", "businessID: biz-0001")
	table, _ = kubectl(0, "status", "-o", "json")
	has("status -o json", table, `"kind": "TiktokChannelList"`, `"businessID": "biz-0001"`)
	table, _ = kubectl(0, "status", "-o", "wide")
	has("status -o wide", table, "USERNAME", "biz-0001")
	_, errs = kubectl(2, "status", "-o", "xml")
	has("status -o xml", errs, "json, yaml or wide")
	out, _ := kubectl(0, "refresh", "demo", "--wait")
	has("refresh", out, "refreshed")
	_, errs = kubectl(1, "refresh", "absent")
	has("refresh of nothing", errs, "absent")

	must(t, "receive", g.receive(question)(ctx))
	var conversation string
	must(t, "the conversation", program.Wait(ctx, 20*time.Second, "the conversation to be listed", func() (bool, error) {
		text, _ := kubectl(0, append([]string{"conversations", "demo", "-o=json"}, api...)...)
		var answer struct{ Items []struct{ ID string } }
		if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Items) == 0 {
			return false, err
		}
		conversation = answer.Items[0].ID
		return true, nil
	}))
	table, _ = kubectl(0, append([]string{"conversations", "demo"}, api...)...)
	has("conversations", table, conversation, question)
	out, _ = kubectl(0, append([]string{"send", "demo", conversation, "--text=On its way", "--idempotency-key=a"}, api...)...)
	has("send", out, "message ")
	again, _ := kubectl(0, append([]string{"send", "demo", conversation, "--text=On its way", "--idempotency-key=a"}, api...)...)
	if strings.Fields(again)[1] != strings.Fields(out)[1] {
		t.Errorf("the same key sent another message: %s and %s", out, again)
	}
	_, errs = kubectl(1, append([]string{"send", "demo", conversation, "--text=" + strings.Repeat("x", 6001)}, api...)...)
	has("a text that is too long", errs, "6000")
	table, _ = kubectl(0, append([]string{"messages", "demo", conversation}, api...)...)
	has("messages", table, question, "On its way")
	table, _ = kubectl(0, append([]string{"deadletters", "demo"}, api...)...)
	has("deadletters", table, "REASON")
	out, _ = kubectl(0, append([]string{"replay", "demo", "--all"}, api...)...)
	has("replay", out, "0 replayed")
	kubectl(2, "replay", "demo")
	_, errs = kubectl(1, append([]string{"conversations", "demo"}, api[:2]...)...)
	has("without a token", errs, "--as-service-account")
	imports(ctx, t, g, kubectl)
	bundled(ctx, t, g, kubectl)
	must(t, "the account loses its roles", g.k8s.DeleteAllOf(ctx, &rbacv1.RoleBinding{}, client.InNamespace("default")))
	must(t, "a refusal", program.Wait(ctx, 30*time.Second, "the API to know it", func() (bool, error) {
		var stdout, stderr bytes.Buffer
		code := plugin.Main(ctx, "test", append([]string{"--kubeconfig=" + g.kubeconfig, "-n=default", "conversations", "demo"}, api...), &stdout, &stderr)
		return code == 1 && strings.Contains(stderr.String(), "channel-reader"), nil
	}))
}

// imports gives the channel tokens of another system, which happen to be those that it has.
func imports(ctx context.Context, t *testing.T, g *guide, kubectl func(int, ...string) (string, string)) {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"}}
	must(t, "reading the channel", g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch))
	own := &corev1.Secret{}
	must(t, "reading its tokens", g.k8s.Get(ctx, client.ObjectKey{Namespace: "default", Name: ch.TokenSecretName()}, own))
	text, err := json.Marshal(map[string]string{"refresh_token": string(own.Data["refresh_token"]), "access_token": string(own.Data["access_token"])})
	must(t, "encoding tokens", err)
	file := filepath.Join(t.TempDir(), "tokens.json")
	must(t, "writing tokens", os.WriteFile(file, text, 0o600))
	kubectl(2, "import", "demo")
	kubectl(1, "import", "absent", "--from-file="+file)
	_, errs := kubectl(1, "import", "demo", "--from-file="+file, "--secret="+own.Name)
	if !strings.Contains(errs, "the operator's own") {
		t.Errorf("import into the operator's own Secret: %s", errs)
	}
	kubectl(0, "import", "demo", "--from-file="+file, "--dry-run")
	secret := &corev1.Secret{}
	if err := g.k8s.Get(ctx, client.ObjectKey{Namespace: "default", Name: "demo-import"}, secret); err == nil {
		t.Error("--dry-run made a Secret")
	}
	out, errs := kubectl(0, "import", "demo", "--from-file="+file)
	for key, value := range own.Data {
		if strings.HasSuffix(key, "_token") && (strings.Contains(out, string(value)) || strings.Contains(errs, string(value))) {
			t.Errorf("import prints %s", key)
		}
	}
	must(t, "reading the Secret", g.k8s.Get(ctx, client.ObjectKey{Namespace: "default", Name: "demo-import"}, secret))
	must(t, "reading the channel", g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch))
	if ch.Spec.ImportTokensFrom == nil || ch.Spec.ImportTokensFrom.Name != secret.Name || len(secret.Data["refresh_token"]) == 0 {
		t.Errorf("the channel imports from %+v, and the Secret has %d keys", ch.Spec.ImportTokensFrom, len(secret.Data))
	}
}

// bundled looks for what may not be in a support bundle, and for what must.
func bundled(ctx context.Context, t *testing.T, g *guide, kubectl func(int, ...string) (string, string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	kubectl(0, "support-bundle", "-A", "--file="+file)
	kubectl(1, "support-bundle", "--file="+file) // nothing is overwritten
	packed, err := os.Open(file)
	must(t, "opening the bundle", err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	must(t, "unpacking the bundle", err)
	text, err := io.ReadAll(unzipped)
	must(t, "unpacking the bundle", err)
	for _, part := range []string{"tiktokchannels.yaml", "tiktokapps.yaml", "biz-0001", "events.yaml"} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("the bundle lacks %s", part)
		}
	}
	var secrets corev1.SecretList
	must(t, "listing Secrets", g.k8s.List(ctx, &secrets))
	for _, secret := range secrets.Items {
		for key, value := range secret.Data {
			if (strings.HasSuffix(key, "_token") || key == v1alpha1.DefaultAppSecretKey) && bytes.Contains(text, value) {
				t.Errorf("the bundle holds %s of %s", key, secret.Name)
			}
		}
	}
	if bytes.Contains(text, []byte("authorizationURL: http")) {
		t.Error("the bundle holds a link that authorizes")
	}
}

// account makes a ServiceAccount that may do everything with the private API.
func account(ctx context.Context, g *guide) error {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "support"}
	for _, object := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.Group}, Verbs: []string{"get", "list", "watch", "create"},
			Resources: []string{"tiktokchannels/messages", "tiktokchannels/events", "tiktokchannels/sinks", "tiktokchannels/authorization"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: meta.Namespace, Name: meta.Name}},
		},
	} {
		if err := g.k8s.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// certificate keeps what the webhook signed for itself, for the plugin to trust.
func certificate(t *testing.T, address string) string {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "https://"))
	must(t, "connecting to the webhook", err)
	defer conn.Close()
	own := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	path := filepath.Join(t.TempDir(), "ca.crt")
	must(t, "writing its certificate", os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Raw}), 0o600))
	return path
}
