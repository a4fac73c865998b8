package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin"
	"github.com/tiktok-operator/tiktok-operator/internal/sinkapi"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// TestPlugin uses kubectl tiktok as a person does, from the first link to a reply.
func TestPlugin(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("it needs a control plane of its own, and KUBECONFIG names another")
	}
	t.Parallel() // it waits more than it works
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{tokenLife: time.Hour, logLevel: "info"}}}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	open(ctx, t, g.stage)
	must(t, "create", g.create(ctx))
	must(t, "the roles of an installation", g.furnish(ctx))
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
	out, _ := kubectl(0, "authorize", "demo", "-o", "json")
	has("authorize -o json", out, `"authorizationURL": "`+g.public, `"ready": false`)
	fresh, _ := kubectl(0, append([]string{"authorize", "demo", "--fresh"}, api...)...)
	has("authorize --fresh", fresh, g.public)
	_, errs := kubectl(1, "authorize", "demo", "--wait", "--timeout=1s")
	has("authorize --wait without a person", errs, "not within 1s", "Ready=False")
	must(t, "authorize", g.authorize(ctx))
	none, errs := kubectl(0, "authorize", "demo", "--wait")
	has("authorize of a channel that is Ready", errs, "Ready", "--fresh")
	if none != "" {
		t.Errorf("it prints %q where scripts expect a link", none)
	}
	must(t, "authorize --fresh --wait", anew(ctx, t, g, api))

	table, _ := kubectl(0, "status")
	has("status", table, "demo", "True")
	none, errs = kubectl(0, "status", "--namespace=kube-system")
	has("status of an empty namespace", errs, "No channels in namespace kube-system.")
	if none != "" {
		t.Errorf("status of an empty namespace prints %q", none)
	}
	screen, _ := kubectl(0, append([]string{"status", "demo"}, api...)...)
	has("status demo", screen, "biz-0001", "TokenFresh", "Access token expires", "Open windows", "WAITING", "EVENT", "Authorized")
	if strings.Contains(screen, "cannot be read") {
		t.Errorf("status demo: %s", screen)
	}
	screen, _ = kubectl(0, "status", "demo", "--api-url=https://127.0.0.1:1", "--as-service-account=support")
	has("status demo without the private API", screen, "biz-0001", "What waits for the sinks cannot be read")
	screen, _ = kubectl(0, "status", "demo") // the kubeconfig has a certificate
	has("status demo without a token", screen, "biz-0001", "Add --as-service-account NAME to see what waits for the sinks, and")
	if strings.Contains(screen, "cannot be read") {
		t.Errorf("status demo without a token: %s", screen)
	}
	screen, _ = kubectl(0, "status", "demo", "-o", "yaml")
	has("status demo -o yaml", screen, "kind: TiktokChannel", "businessID: biz-0001", "events:", "reason: Authorized", "problems:")
	screen, _ = kubectl(0, append([]string{"status", "demo", "-o", "json"}, api...)...)
	var document struct {
		Channel v1alpha1.TiktokChannel
		Sinks   []sinkapi.Sink
	}
	must(t, "decoding status -o json", json.Unmarshal([]byte(screen), &document))
	if document.Channel.Status.BusinessID != "biz-0001" || len(document.Sinks) != 1 || document.Sinks[0].Pending == nil {
		t.Errorf("status demo -o json lacks the channel or what waits for its sink:\n%s", screen)
	}
	table, _ = kubectl(0, "status", "-o", "json")
	has("status -o json", table, `"kind": "TiktokChannelList"`, `"businessID": "biz-0001"`)
	table, _ = kubectl(0, "status", "-o", "wide")
	has("status -o wide", table, "USERNAME", "biz-0001")
	_, errs = kubectl(2, "status", "-o", "xml")
	has("status -o xml", errs, "json, yaml or wide")
	out, _ = kubectl(0, "refresh", "demo", "--wait")
	has("refresh", out, "refreshed")
	out, _ = kubectl(0, "refresh", "demo", "-o", "json")
	has("refresh -o json", out, `"requestedAt": "`, `"refreshed": false`)
	_, errs = kubectl(1, "refresh", "absent")
	has("refresh of nothing", errs, "absent")

	must(t, "receive", g.receive(question)(ctx))
	var conversation string
	must(t, "the conversation", program.Wait(ctx, time.Minute, "the conversation to be listed", func() (bool, error) {
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
	again, _ = kubectl(0, append([]string{"send", "demo", conversation, "--text=On its way", "--idempotency-key=a", "-o=yaml"}, api...)...)
	has("send -o yaml", again, `id: "`+strings.TrimSuffix(strings.Fields(out)[1], ":"), "status: ")
	_, errs = kubectl(1, append([]string{"send", "demo", conversation, "--text=" + strings.Repeat("x", 6001)}, api...)...)
	has("a text that is too long", errs, "6000")
	table, _ = kubectl(0, append([]string{"messages", "demo", conversation}, api...)...)
	has("messages", table, question, "On its way")
	table, errs = kubectl(0, append([]string{"messages", "demo", conversation, "--limit=1", "-o=wide"}, api...)...)
	has("messages --limit", table, "On its way", "IDEMPOTENCY KEY")
	has("messages --limit", errs, "There are more than these 1")
	replays(ctx, t, g, kubectl, api)
	words(ctx, t, g, conversation, api)
	_, errs = kubectl(1, append([]string{"conversations", "demo"}, api[:2]...)...)
	has("without a token", errs, "--as-service-account")
	imports(ctx, t, g, kubectl)
	bundled(ctx, t, g, kubectl)
	refused(ctx, t, g, kubectl)
	must(t, "the account loses its roles", g.k8s.DeleteAllOf(ctx, &rbacv1.RoleBinding{}, client.InNamespace("default")))
	must(t, "a refusal", program.Wait(ctx, time.Minute, "the API to know it", func() (bool, error) {
		var stdout, stderr bytes.Buffer
		code := plugin.Main(ctx, "test", append([]string{"--kubeconfig=" + g.kubeconfig, "-n=default", "conversations", "demo"}, api...), &stdout, &stderr)
		return code == 1 && strings.Contains(stderr.String(), "channel-reader"), nil
	}))
}

// anew waits for one more authorization of a channel that is Ready, and consents meanwhile.
func anew(ctx context.Context, t *testing.T, g *guide, api []string) error {
	t.Helper()
	ch := &v1alpha1.TiktokChannel{}
	key := client.ObjectKey{Namespace: "default", Name: "demo"}
	if err := g.k8s.Get(ctx, key, ch); err != nil {
		return err
	}
	before := ch.Status.AuthorizationEpoch
	printed, out := io.Pipe()
	told, errOut := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		args := append([]string{"--kubeconfig=" + g.kubeconfig, "-n=default", "authorize", "demo", "--fresh", "--wait", "--timeout=1m"}, api...)
		code := plugin.Main(ctx, "test", args, out, errOut)
		_ = errors.Join(out.Close(), errOut.Close())
		ended <- code
	}()
	link, err := bufio.NewReader(printed).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the link: %w", err)
	}
	progress := bufio.NewReader(told)
	if line, err := progress.ReadString('\n'); err != nil || !strings.Contains(line, "nobody has consented through the new link yet") {
		return fmt.Errorf("it does not wait: %q, %w", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, progress) }()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	if _, page, err := get(ctx, &http.Client{Jar: jar}, strings.TrimSpace(link)); err != nil || !strings.Contains(page, `content="granted"`) {
		return fmt.Errorf("opening the link: %w\n%s", err, page)
	}
	if code := <-ended; code != 0 {
		return fmt.Errorf("it ended with %d", code)
	}
	if err := g.k8s.Get(ctx, key, ch); err != nil {
		return err
	}
	if ch.Status.AuthorizationEpoch <= before {
		return fmt.Errorf("it ended in the epoch %d, with the channel in %d", before, ch.Status.AuthorizationEpoch)
	}
	return nil
}

// replays has what a sink refuses delivered anew, and stored events.
func replays(ctx context.Context, t *testing.T, g *guide, kubectl func(int, ...string) (string, string), api []string) {
	t.Helper()
	run := func(args ...string) string {
		out, _ := kubectl(0, append(args, api...)...)
		return out
	}
	began := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	var refuses atomic.Bool
	var took sync.Map
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&data); err != nil || refuses.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		took.Store(data.Text, true)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(crm.Close)
	writes := func(text string) error {
		return post(ctx, g.simulator+"/admin/events", fmt.Sprintf(`{"text":%q,"user":"alice"}`, text))
	}
	got := func(text string) bool {
		_, ok := took.Load(text)
		return ok
	}
	must(t, "changing the sink", g.change(ctx, func(ch *v1alpha1.TiktokChannel) { ch.Spec.Sinks[0].URI = crm.URL + "/?key=secret-of-the-sink" }))
	for i := 0; !got(fmt.Sprint("to whom? ", i-1)); i++ { // the webhook is told of the change a little later
		text := fmt.Sprint("to whom? ", i)
		must(t, "a message", writes(text))
		must(t, "a sink", program.Wait(ctx, time.Minute, "a sink to get it", func() (bool, error) { return got(text) || g.sink.got(text), nil }))
	}
	refuses.Store(true)
	for _, text := range []string{"one", "two", "three"} {
		must(t, "a message", writes(text))
	}
	var letters struct {
		Items []struct{ ID, Sink, Reason string }
	}
	must(t, "dead letters", program.Wait(ctx, time.Minute, "dead letters", func() (bool, error) {
		err := json.Unmarshal([]byte(run("deadletters", "demo", "-o=json", "--since="+began)), &letters)
		return len(letters.Items) == 3, err
	}))
	refuses.Store(false)
	sink := letters.Items[0].Sink
	if table := run("deadletters", "demo", "--sink="+sink, "-o=wide"); !strings.Contains(table, letters.Items[0].Reason) || !strings.Contains(table, "EVENT ID") {
		t.Errorf("deadletters: %s", table)
	}
	if table := run("deadletters", "demo", "--until="+began); strings.Contains(table, letters.Items[0].Reason) {
		t.Errorf("deadletters --until: %s", table)
	}
	if out := run("replay", "demo", letters.Items[0].ID, letters.Items[1].ID, "-o=json"); !strings.Contains(out, `"replayed": 2`) {
		t.Errorf("replay of two: %s", out)
	}
	if out := run("replay", "demo", "--since="+began, "--sink="+sink); out != "1 replayed\n" {
		t.Errorf("replay --since: %s", out)
	}
	must(t, "the sink", program.Wait(ctx, time.Minute, "what was replayed", func() (bool, error) {
		return got("one") && got("two") && got("three"), nil
	}))
	if out := run("replay-events", "demo", "--sink="+sink, "--since=1h"); !strings.Contains(out, "events are on their way to "+sink) {
		t.Errorf("replay-events: %s", out)
	}
	kubectl(2, "replay", "demo")
	kubectl(2, "replay", "demo", "1", "--all")
	kubectl(2, "replay", "demo", "--since=yesterday")
	kubectl(2, "replay-events", "demo", "--sink="+sink)
}

// words completes words as kubectl does, which finds the plugin and its completer on the PATH.
func words(ctx context.Context, t *testing.T, g *guide, conversation string, api []string) {
	t.Helper()
	must(t, "building the plugin", program.Build(ctx, g.dir, []string{"kubectl-tiktok"}))
	var script, none bytes.Buffer
	if code := plugin.Main(ctx, "test", []string{"completion", "kubectl"}, &script, &none); code != 0 {
		t.Fatalf("completion kubectl ended with %d: %s", code, none.String())
	}
	must(t, "writing the completer", os.WriteFile(filepath.Join(g.dir, "kubectl_complete-tiktok"), script.Bytes(), 0o700))
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		kubectl = filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	}
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{"dead"}, "deadletters"},
		{[]string{"status", ""}, "demo"},
		{[]string{"status", "-o", ""}, "wide"},
		{[]string{"send", "demo", "--kubeconfig=" + g.kubeconfig, "-n=default", api[0], api[1], api[2], ""}, conversation},
		{[]string{"status", "--as-service-account", ""}, "support"},
		{[]string{"status", "--namespace", ""}, "kube-system"},
		{[]string{"status", "--context", ""}, "envtest"},
		{[]string{"deadletters", "demo", "--sink", ""}, "example"},
	} {
		cmd := exec.CommandContext(ctx, kubectl, append([]string{"__complete", "tiktok"}, tt.words...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+g.kubeconfig, "PATH="+g.dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains("\n"+string(out), "\n"+tt.want) {
			t.Errorf("kubectl tiktok %s is not completed with %s: %v\n%s", strings.Join(tt.words, " "), tt.want, err, out)
		}
	}
}

// refused asks as somebody who may do nothing, and looks for what to ask for.
func refused(ctx context.Context, t *testing.T, g *guide, kubectl func(int, ...string) (string, string)) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "default", Name: "tokens"}
	must(t, "a role", g.k8s.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"},
	}}}))
	must(t, "its binding", g.k8s.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tokens"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "somebody"}},
	}))
	must(t, "what it grants", g.allowed(ctx, "somebody", &authorizationv1.ResourceAttributes{
		Resource: "serviceaccounts", Subresource: "token", Verb: "create",
	}))
	for want, args := range map[string][]string{
		"channel-viewer":                {"status", "--as=nobody"},
		"creates serviceaccounts/token": {"conversations", "demo", "--as-service-account=support", "--as=nobody"},
		"creates pods/portforward":      {"conversations", "demo", "--as-service-account=support", "--as=somebody"},
	} {
		_, errs := kubectl(1, args...)
		if !strings.Contains(errs, want) || strings.Count(errs, "\n  ") != 1 {
			t.Errorf("%v by somebody who may not: %s", args, errs)
		}
	}
	if _, errs := kubectl(1, "conversations", "demo", "--token=x", "--as=nobody"); !strings.Contains(errs, "--as-service-account") {
		t.Errorf("as somebody else: %s", errs)
	}
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
	must(t, "a sink's address with a secret", g.change(ctx, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks[0].URI = g.sink.url() + "/hook-of-the-sink?key=secret-of-the-sink"
	}))
	for i, about := range []corev1.ObjectReference{
		{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "shop"},
		{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.TiktokChannelKind, Namespace: "default", Name: "demo"},
	} {
		must(t, "an Event", g.k8s.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("event-", i)}, InvolvedObject: about, Message: "told of " + about.Name,
		}))
	}
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	kubectl(1, "support-bundle", "--file="+filepath.Join(file, "no", "such", "folder"))
	kubectl(0, "support-bundle", "-A", "--file="+file)
	kubectl(1, "support-bundle", "--file="+file) // nothing is overwritten
	packed, err := os.Open(file)
	must(t, "opening the bundle", err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	must(t, "unpacking the bundle", err)
	text, err := io.ReadAll(unzipped)
	must(t, "unpacking the bundle", err)
	for _, part := range []string{"tiktokchannels.yaml", "tiktokapps.yaml", "biz-0001", "events.yaml", "told of demo", "http://" + g.sink.address + "/…"} {
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
	for _, part := range []string{"told of shop", "hook-of-the-sink", "secret-of-the-sink"} {
		if bytes.Contains(text, []byte(part)) {
			t.Errorf("the bundle holds %q", part)
		}
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the bundle there is something: %v, %v", left, err)
	}
}

// account makes a ServiceAccount with every role that the operator brings for the private API, and nothing else.
func account(ctx context.Context, g *guide) error {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "support"}
	objects := []client.Object{&corev1.ServiceAccount{ObjectMeta: meta}}
	for _, role := range []string{"channel-messenger", "channel-reader", "channel-replayer", "channel-authorizer"} {
		objects = append(objects, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: meta.Namespace, Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tiktok-operator-" + role},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: meta.Namespace, Name: meta.Name}},
		})
	}
	for _, object := range objects {
		if err := g.k8s.Create(ctx, object); err != nil {
			return err
		}
	}
	// The last one: they are read in the order in which they were made.
	return g.allowed(ctx, "system:serviceaccount:default:support", &authorizationv1.ResourceAttributes{
		Group: v1alpha1.Group, Resource: "tiktokchannels", Subresource: "authorization", Verb: "create",
	})
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
