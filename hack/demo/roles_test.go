package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// TestRolesAreExact takes the tour with the manager and the webhook as their ServiceAccounts, with the roles of config/rbac and nothing else,
// and reads the API server's audit log: nothing that they asked for was forbidden, and nothing that the roles grant was not needed.
func TestRolesAreExact(t *testing.T) {
	rolesAreExact(t, everywhere)
}

// TestRolesInNamedNamespacesAreExact is the same for an operator that serves one namespace only.
func TestRolesInNamedNamespacesAreExact(t *testing.T) {
	rolesAreExact(t, inDefault, "TIKTOK_OPERATOR_WATCH_NAMESPACES="+metav1.NamespaceDefault)
}

func rolesAreExact(t *testing.T, roles func(binary string) ([]role, error), env ...string) {
	t.Helper()
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("it needs a control plane of its own, and KUBECONFIG names another")
	}
	t.Parallel() // it waits more than it works
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	audit := filepath.Join(t.TempDir(), "audit.log")
	g := &guide{stage: &stage{dir: t.TempDir(), settings: settings{
		tokenLife: 20 * time.Second, logLevel: "info", audit: audit, confine: confined(roles), env: env,
	}}}
	closed := false
	t.Cleanup(func() {
		if err := g.close(); err != nil && !closed {
			t.Error(err)
		}
	})
	open(ctx, t, g.stage)
	must(t, "create", g.create(ctx))
	must(t, "a sink that is a Service, and namespaces by label", further(ctx, g))
	for range 2 { // the second time repeats an Event
		must(t, "consent is denied", visit(g, `{"error":"access_denied","once":true}`, "denied")(ctx))
	}
	must(t, "tokens that cannot be kept", unkept(ctx, g))
	must(t, "authorize", g.authorize(ctx))
	must(t, "receive", g.receive(question)(ctx))
	must(t, "TikTok takes the token for an old one", post(ctx, g.simulator+"/admin/faults", `{"endpoint":"business/message/send/","times":1,"code":40105}`))
	must(t, "reply", g.reply(ctx))
	must(t, "refresh", g.refresh(ctx))
	must(t, "disconnect", g.disconnect(ctx))
	must(t, "authorize again", g.authorize(ctx))
	_, err := g.until(ctx, "the report that the other sink fails", func(ch *v1alpha1.TiktokChannel) bool { return len(ch.Status.Sinks) > 0 })
	must(t, "the sink that nobody serves", err)
	must(t, "the account is imported into a second channel, and keys are rotated", twin(ctx, g))
	must(t, "the tokens are to be revoked with the channel", g.change(ctx, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.DeletionPolicy, ch.Spec.Sinks = v1alpha1.DeletionRevoke, ch.Spec.Sinks[:1]
	}))
	must(t, "the channel and the app go", g.removed(ctx))
	closed = true // what is stopped now says nothing about roles
	must(t, "stopping", g.close())

	used, forbidden := readAudit(t, audit)
	for _, what := range forbidden {
		t.Errorf("forbidden: %s", what)
	}
	for _, binary := range []string{"manager", "webhook"} {
		if len(used[binary]) == 0 {
			t.Fatalf("the audit log knows no request of the %s", binary)
		}
		of, err := roles(binary)
		must(t, "reading roles", err)
		for _, grant := range granted(of) {
			if !used[binary][grant] && !implied(used[binary], grant) {
				t.Errorf("the %s never needed to %s", binary, grant)
			}
		}
	}
}

// implied says that who watches objects may list them: a watch begins with a list where the API server does not stream one.
func implied(used map[string]bool, grant string) bool {
	resource, list := strings.CutPrefix(grant, "list ")
	return list && used["watch "+resource]
}

// unkept lets an authorization come to nothing after the business was reserved, which gives the reservation up. Before that it was a channel's
// that is gone, from which it is taken over.
func unkept(ctx context.Context, g *guide) error {
	gone := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gone", UID: "gone"}}
	err := reservation.New(reservation.Options{Client: g.k8s, Namespace: operatorNamespace}).Hold(ctx, "biz-0001", gone)
	if err != nil {
		return fmt.Errorf("reserving the business: %w", err)
	}
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "demo"}}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ch.Namespace, Name: ch.TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: ch.Name}},
		Type:       v1alpha1.TokenSecretType, Immutable: new(true),
	}
	if err := g.k8s.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating a Secret that cannot be written: %w", err)
	}
	if err := visit(g, `{}`, string(oauth.ResultSecretUnusable))(ctx); err != nil {
		return err
	}
	return g.k8s.Delete(ctx, secret)
}

// twin imports tokens of the first channel's business into a second one, which is refused by the look at who holds the business. The refusal needs
// an authorization link, for which the manager reads its keys again once they are a minute old: that a sink was reported took longer.
func twin(ctx context.Context, g *guide) error {
	keys := &corev1.Secret{}
	if err := g.k8s.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: tickets.SecretName}, keys); err != nil {
		return fmt.Errorf("reading the keys of links: %w", err)
	}
	const request = "now"
	keys.Annotations = map[string]string{v1alpha1.RotateRequestedAtAnnotation: request}
	if err := g.k8s.Update(ctx, keys); err != nil {
		return fmt.Errorf("asking for new keys: %w", err)
	}
	minted, err := mint(ctx, g.simulator)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "twin-import"}, StringData: map[string]string{"refresh_token": minted}}
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "twin"},
		Spec: v1alpha1.TiktokChannelSpec{
			AppRef: v1alpha1.TiktokAppReference{Name: "demo"}, ImportTokensFrom: &v1alpha1.SecretReference{Name: secret.Name},
		},
	}
	if err := errors.Join(g.k8s.Create(ctx, secret), g.k8s.Create(ctx, ch)); err != nil {
		return fmt.Errorf("creating the second channel: %w", err)
	}
	err = program.Wait(ctx, 90*time.Second, "the second channel to be refused, with a link by new keys", func() (bool, error) {
		err := errors.Join(g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch), g.k8s.Get(ctx, client.ObjectKeyFromObject(keys), keys))
		ready := meta.FindStatusCondition(ch.Status.Conditions, v1alpha1.ReadyCondition)
		return ready != nil && ready.Reason == v1alpha1.ReasonBusinessInUse && keys.Annotations[v1alpha1.RotatedAtAnnotation] == request, err
	})
	if err != nil {
		return err
	}
	if err := g.k8s.Delete(ctx, ch); err != nil {
		return fmt.Errorf("deleting the second channel: %w", err)
	}
	return program.Wait(ctx, time.Minute, "the second channel to go", func() (bool, error) {
		err := g.k8s.Get(ctx, client.ObjectKeyFromObject(ch), ch)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// mint has the simulator make tokens without a consent, and returns the refresh token.
func mint(ctx context.Context, simulator string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, simulator+"/admin/tokens", strings.NewReader(`{"business":"biz-0001"}`))
	if err != nil {
		return "", fmt.Errorf("making a request: %w", err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("asking for tokens: %w", err)
	}
	defer resp.Body.Close()
	var tokens struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil {
		return "", fmt.Errorf("reading the simulator's tokens: %w", err)
	}
	return tokens.RefreshToken, nil
}

// further gives the channel a Service for a sink, and the app a rule about namespaces. It also gives the app two more event types: that they are
// registered is one Event that repeats, since both are about the same version of the app.
func further(ctx context.Context, g *guide) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "inbox"},
		// Without an address it fails at once: nothing here resolves its name.
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := g.k8s.Create(ctx, service); err != nil {
		return fmt.Errorf("creating the Service: %w", err)
	}
	app := &v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "demo"}}
	err := program.Wait(ctx, time.Minute, "the app to take a change", func() (bool, error) {
		if err := g.k8s.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil {
			return false, err
		}
		app.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
			From:     v1alpha1.NamespacesSelector,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "default"}},
		}
		app.Spec.Webhook.EventTypes = append(app.Spec.Webhook.EventTypes, "COMMENT", "VIDEO")
		err := g.k8s.Update(ctx, app)
		return err == nil, ignoreConflict(err)
	})
	if err != nil {
		return err
	}
	return g.change(ctx, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = append(ch.Spec.Sinks, v1alpha1.Sink{Name: "service", Ref: &v1alpha1.SinkReference{Name: "inbox", Port: 80}})
	})
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// confined gives the two ServiceAccounts their roles and nothing else.
func confined(roles func(binary string) ([]role, error)) func(context.Context, client.Client) error {
	return func(ctx context.Context, api client.Client) error {
		err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})
		if client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("creating the namespace: %w", err)
		}
		for _, binary := range []string{"manager", "webhook"} {
			of, err := roles(binary)
			if err != nil {
				return err
			}
			for i, r := range of {
				for _, object := range r.objects(fmt.Sprintf("%s-%d", binary, i), binary) {
					if err := api.Create(ctx, object); err != nil {
						return fmt.Errorf("creating a %s for the %s: %w", r.Kind, binary, err)
					}
				}
			}
		}
		return nil
	}
}

type role struct {
	Kind     string              `json:"kind"`
	Metadata metav1.ObjectMeta   `json:"metadata"`
	Rules    []rbacv1.PolicyRule `json:"rules"`
}

// objects are the role, and its binding to the ServiceAccount of a binary.
func (r role) objects(name, binary string) []client.Object {
	meta := metav1.ObjectMeta{Name: name}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Name: binary, Namespace: operatorNamespace}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: r.Kind, Name: name}
	if r.Kind == "ClusterRole" {
		return []client.Object{
			&rbacv1.ClusterRole{ObjectMeta: meta, Rules: r.Rules}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref},
		}
	}
	meta.Namespace = r.Metadata.Namespace
	return []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: r.Rules}, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref},
	}
}

// everywhere are the roles of an operator that serves every namespace.
func everywhere(binary string) ([]role, error) {
	roles, err := readRoles(filepath.Join("config", "rbac", binary+"_role.yaml"))
	for i := range roles {
		if roles[i].Kind == "Role" {
			roles[i].Metadata.Namespace = operatorNamespace // which is called system there
		}
	}
	return roles, err
}

// inDefault are the roles of an operator that serves the namespace default only. That the manager has a Role for Events in default cannot be
// seen to be needed, since default has a channel too.
func inDefault(binary string) ([]role, error) {
	roles, err := readRoles(filepath.Join("config", "components", "watch-namespaces", "roles.yaml"))
	if err != nil {
		return nil, err
	}
	channels, err := readRoles(filepath.Join("config", "channels-namespace", "roles.yaml"))
	if err != nil {
		return nil, err
	}
	for i := range channels {
		channels[i].Metadata.Namespace = metav1.NamespaceDefault
	}
	return slices.DeleteFunc(append(roles, channels...), func(r role) bool {
		return !strings.HasPrefix(r.Metadata.Name, "tiktok-operator-"+binary)
	}), nil
}

// readRoles reads the Roles and ClusterRoles of a file.
func readRoles(path string) ([]role, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading roles: %w", err)
	}
	var roles []role
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var r role
		if err := yaml.Unmarshal([]byte(document), &r); err != nil {
			return nil, fmt.Errorf("decoding a role: %w", err)
		}
		if r.Kind == "Role" || r.Kind == "ClusterRole" {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

// granted are the single permissions of roles.
func granted(roles []role) []string {
	all := map[string]bool{}
	for _, r := range roles {
		for _, rule := range r.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						all[permission(verb, group, resource)+where(r.Metadata.Namespace)] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// where is the end of a permission of a Role; a ClusterRole's has none.
func where(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in " + namespace
}

func permission(verb, group, resource string) string {
	return strings.TrimSuffix(verb+" "+resource+"."+group, ".")
}

// readAudit returns the permissions that each binary used, and what it was refused.
func readAudit(t *testing.T, path string) (used map[string]map[string]bool, forbidden []string) {
	t.Helper()
	file, err := os.Open(path)
	must(t, "opening the audit log", err)
	defer file.Close()
	used = map[string]map[string]bool{"manager": {}, "webhook": {}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb, RequestURI string
			ImpersonatedUser *struct{ Username string }
			ObjectRef        *struct{ APIGroup, Resource, Subresource, Namespace string }
			ResponseStatus   *struct{ Code int }
		}
		must(t, "reading the audit log", json.Unmarshal(lines.Bytes(), &event))
		if event.ImpersonatedUser == nil {
			continue
		}
		_, binary, _ := strings.Cut(event.ImpersonatedUser.Username, operatorNamespace+":")
		if used[binary] == nil {
			continue
		}
		if event.ResponseStatus != nil && event.ResponseStatus.Code == 403 {
			forbidden = append(forbidden, binary+" "+event.Verb+" "+event.RequestURI)
		}
		if ref := event.ObjectRef; ref != nil {
			resource := strings.TrimSuffix(ref.Resource+"/"+ref.Subresource, "/")
			what := permission(event.Verb, ref.APIGroup, resource)
			used[binary][what], used[binary][what+where(ref.Namespace)] = true, true
		}
	}
	must(t, "reading the audit log", lines.Err())
	return used, forbidden
}
