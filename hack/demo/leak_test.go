package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// TestNothingLeaks takes the tour and its accidents with real processes at the highest log level, and looks for every token, code, key and
// secret of it in everything that people and programs other than TikTok can read.
func TestNothingLeaks(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("it needs a control plane of its own, and KUBECONFIG names another")
	}
	t.Parallel() // it waits more than it works
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	w := newWitness(t)
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{tokenLife: 20 * time.Second, logLevel: "10", browser: w}}}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	open(ctx, t, g.stage)
	g.sink.seen = w.request
	w.secret("app secret", appSecret)
	w.watch(ctx, g.k8s)

	step := func(title string, do func(context.Context) error) {
		t.Helper()
		must(t, title, do(ctx))
	}
	step("create", g.create)
	step("credentials of the sink", func(ctx context.Context) error { return credentials(ctx, g, w) })
	step("consent is denied", visit(g, `{"error":"access_denied","once":true}`, "denied"))
	step("a scope is left out", visit(g, `{"mode":"auto","denyScopes":["message.list.send"],"once":true}`, "scopes_missing"))
	step("TikTok repeats the secret in its refusal", func(ctx context.Context) error {
		fault := fmt.Sprintf(`{"endpoint":"tt_user/oauth2/token/","times":1,"code":40002,"message":"client_secret %s is odd"}`, appSecret)
		return post(ctx, g.simulator+"/admin/faults", fault)
	})
	step("… and the person sees a page", visit(g, `{}`, ""))
	step("authorize", g.authorize)
	step("the callback is opened again, and made up", func(ctx context.Context) error { return w.replay(ctx, g.public) })
	step("receive", g.receive("Is this secret?"))
	step("a forged webhook", func(ctx context.Context) error {
		return post(ctx, g.simulator+"/admin/events", `{"text":"forged","signature":"wrong"}`)
	})
	step("programs ask for links", func(ctx context.Context) error { return links(ctx, g, w) })
	step("a gateway stands in for TikTok, then TikTok repeats the token's owner's secret", func(ctx context.Context) error {
		for _, fault := range []string{`"status":502`, fmt.Sprintf(`"code":50000,"message":"secret %s"`, appSecret)} {
			if err := post(ctx, g.simulator+"/admin/faults", `{"endpoint":"tt_user/oauth2/refresh_token/","times":1,`+fault+`}`); err != nil {
				return err
			}
		}
		return nil
	})
	step("refresh", g.refresh)
	step("the app secret is rotated", func(ctx context.Context) error { return rotate(ctx, g, w) })
	step("disconnect", g.disconnect)
	step("another account authorizes", func(ctx context.Context) error {
		if err := post(ctx, g.simulator+"/admin/businesses", `{"openID":"biz-0002"}`); err != nil {
			return err
		}
		return visit(g, `{"mode":"auto","business":"biz-0002","once":true}`, "wrong_account")(ctx)
	})
	step("authorize again", g.authorize)
	step("receive again", g.receive("And this?"))

	for _, url := range g.metrics {
		status, text, err := get(ctx, http.DefaultClient, url)
		if err != nil || status != http.StatusOK || !bytes.Contains([]byte(text), []byte("tiktok_operator_")) {
			t.Fatalf("reading %s: %d, %v", url, status, err)
		}
		w.saw("metrics", text)
	}
	w.files("log", filepath.Join(g.dir, "logs"))
	w.files("event log", filepath.Join(g.dir, "events"))
	w.judge()
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// visit authorizes with a consent that goes as the simulator is told, and expects the page of a result; "" expects any but granted.
func visit(g *guide, consent, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := post(ctx, g.simulator+"/admin/consent", consent); err != nil {
			return err
		}
		status, result, err := g.browse(ctx)
		if err != nil {
			return err
		}
		if result == "" || result == "granted" || (want != "" && result != want) {
			return fmt.Errorf("HTTP %d with the result %q, want %q", status, result, want)
		}
		return nil
	}
}

// credentials gives the sink a signing secret and a bearer token.
func credentials(ctx context.Context, g *guide, w *witness) error {
	const signing, bearer = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "sink-bearer-token-8c1f2"
	w.secret("signing secret", signing)
	w.secret("signing key", signing[len("whsec_"):])
	w.secret("sink's bearer token", bearer)
	err := g.k8s.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "sink"}, StringData: map[string]string{"signing": signing, "bearer": bearer},
	})
	if err != nil {
		return fmt.Errorf("creating the sink's Secret: %w", err)
	}
	return g.change(ctx, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks[0].SigningSecretRef = &v1alpha1.SecretKeyReference{Name: "sink", Key: "signing"}
		ch.Spec.Sinks[0].BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: "sink", Key: "bearer"}
	})
}

func (g *guide) change(ctx context.Context, f func(*v1alpha1.TiktokChannel)) error {
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"}}
	if err := g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch); err != nil {
		return fmt.Errorf("reading the channel: %w", err)
	}
	before := ch.DeepCopy()
	f(ch)
	return g.k8s.Patch(ctx, ch, client.MergeFrom(before))
}

// links asks the private API for a link: without a token, with a wrong one, and with one that is allowed to.
func links(ctx context.Context, g *guide, w *witness) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "program"}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"tiktok-operator"}}}
	for _, object := range []client.Object{
		account,
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "program"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.Group}, Resources: []string{"tiktokchannels/authorization"}, Verbs: []string{"create"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "program"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "program"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "program"}},
		},
	} {
		if err := g.k8s.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T: %w", object, err)
		}
	}
	if err := g.allowed(ctx, "system:serviceaccount:default:program", &authorizationv1.ResourceAttributes{
		Group: v1alpha1.Group, Resource: "tiktokchannels", Subresource: "authorization", Name: "demo", Verb: "create",
	}); err != nil {
		return err
	}
	if err := g.k8s.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("asking for a token: %w", err)
	}
	w.secret("caller's token", request.Status.Token)
	w.secret("caller's wrong token", "wrong-"+request.Status.Token)
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it is self-signed
	defer caller.CloseIdleConnections()
	for authorization, want := range map[string]int{
		"": http.StatusUnauthorized, "Bearer wrong-" + request.Status.Token: http.StatusUnauthorized, "Bearer " + request.Status.Token: http.StatusCreated,
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.private+"/v1/namespaces/default/channels/demo/authorization", http.NoBody)
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		r.Header.Set("Authorization", authorization)
		resp, err := caller.Do(r)
		if err != nil {
			return fmt.Errorf("asking for a link: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			return fmt.Errorf("asking for a link: HTTP %d (%w), want %d", resp.StatusCode, err, want)
		}
		if want == http.StatusCreated {
			w.link(string(body))
			continue
		}
		w.saw("problem", string(body))
	}
	return nil
}

// rotate changes the app secret at TikTok first, and in the cluster only once the app says that it is refused.
func rotate(ctx context.Context, g *guide, w *witness) error {
	const rotated = "rotated-app-secret-77e1"
	w.secret("rotated app secret", rotated)
	if err := putJSON(ctx, g.simulator+"/admin/app", fmt.Sprintf(`{"secret":%q}`, rotated)); err != nil {
		return err
	}
	ready := func(want metav1.ConditionStatus) func() (bool, error) {
		return func() (bool, error) {
			app := &v1alpha1.TiktokApp{}
			if err := g.k8s.Get(ctx, client.ObjectKey{Name: "demo"}, app); err != nil {
				return false, err
			}
			return meta.IsStatusConditionPresentAndEqual(app.Status.Conditions, v1alpha1.CredentialsValidCondition, want), nil
		}
	}
	if err := program.Wait(ctx, time.Minute, "the app to say that it is refused", ready(metav1.ConditionFalse)); err != nil {
		return err
	}
	secret := &corev1.Secret{}
	if err := g.k8s.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "demo-app"}, secret); err != nil {
		return fmt.Errorf("reading the app's Secret: %w", err)
	}
	secret.StringData = map[string]string{v1alpha1.DefaultAppSecretKey: rotated}
	if err := g.k8s.Update(ctx, secret); err != nil {
		return fmt.Errorf("writing the app's Secret: %w", err)
	}
	return program.Wait(ctx, 2*time.Minute, "the app to be accepted", ready(metav1.ConditionTrue))
}

func putJSON(ctx context.Context, url, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("asking the simulator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answered %s", resp.Status)
	}
	return nil
}
