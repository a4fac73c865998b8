package controllers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// gitops is the field manager of a tool that applies what is in a repository, over and over, and never forces.
const gitops = client.FieldOwner("kustomize-controller")

// TestIdleHour: whatever state a channel is in, an hour in which nothing happens to it leaves it byte for byte as it was, resource version and
// managed fields included, though a resync looks at it every minute. A tool that compares it with a repository finds nothing.
func TestIdleHour(t *testing.T) {
	for name, state := range map[string]func(t *testing.T) *bench{
		"ready": func(t *testing.T) *bench { return connected(t) },
		"awaiting authorization": func(t *testing.T) *bench {
			b := newBench(t)
			b.reconcile()
			return b
		},
		"suspended": func(t *testing.T) *bench {
			b := connected(t)
			b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = true })
			b.reconcile()
			b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
			return b
		},
		"authorization lost": func(t *testing.T) *bench {
			b := connected(t)
			b.sim.RevokeBusiness("biz-0001")
			b.clock.Step(b.reconcile())
			b.reconcile()
			b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, "")
			return b
		},
		"authorization lost while suspended": func(t *testing.T) *bench {
			b := connected(t)
			b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Suspend = true })
			if err := k8s.Delete(t.Context(), b.secret()); err != nil {
				t.Fatal(err)
			}
			b.reconcile()
			b.want(v1alpha1.ReauthorizationRequiredCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenSecretMissing)
			return b
		},
		"import secret missing": func(t *testing.T) *bench {
			b := newBench(t, func(ch *v1alpha1.TiktokChannel) { ch.Spec.ImportTokensFrom = &v1alpha1.SecretReference{Name: "mine"} })
			b.reconcile()
			b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonImportSecretNotFound)
			return b
		},
		"no such app": func(t *testing.T) *bench {
			b := newBench(t, func(ch *v1alpha1.TiktokChannel) { ch.Spec.AppRef.Name = "nowhere" })
			b.reconcile()
			b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAppNotFound)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := state(t)
			before := text(t, reload(t, b.ch))
			b.writes.take()
			b.drain()
			for range 60 {
				b.clock.Step(time.Minute)
				b.reconcile()
			}
			if after := text(t, reload(t, b.ch)); after != before {
				t.Errorf("the channel changed:\n%s\n%s", before, after)
			}
			sameAsRecorded(t, "channel "+name, asChannel(reload(t, b.ch)))
			if n := b.writes.take(); n != 0 {
				t.Errorf("%d writes", n)
			}
			if e := b.drain(); len(e) != 0 {
				t.Errorf("events: %q", e)
			}
		})
	}
}

func TestIdleHourOfAnApp(t *testing.T) {
	b := healthy(t)
	b.load(b.app)
	before := text(t, b.app)
	b.run(time.Hour, b.app)
	for range 60 {
		b.clock.Step(time.Second)
		b.pass()
	}
	b.load(b.app)
	if after := text(t, b.app); after != before {
		t.Errorf("the app changed:\n%s\n%s", before, after)
	}
	if n := b.writes.take(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestAppliedByOthers: a tool applies channels by server-side apply without force while the operator does its work. Neither ever takes a field
// from the other, at no time of the channel's life.
func TestAppliedByOthers(t *testing.T) {
	b := newBench(t)
	gvk := v1alpha1.GroupVersion.WithKind(v1alpha1.TiktokChannelKind)
	name := b.ch.Name + "-applied"
	apply := func(by client.FieldOwner, metadata, spec map[string]any) {
		t.Helper()
		u := &unstructured.Unstructured{Object: map[string]any{"metadata": metadata}}
		if spec != nil {
			u.Object["spec"] = spec
		}
		u.SetGroupVersionKind(gvk)
		u.SetNamespace(b.ch.Namespace)
		u.SetName(name)
		if err := k8s.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), by); err != nil {
			t.Fatalf("%s is refused: %v", by, err)
		}
	}
	spec := func(sinks ...any) map[string]any {
		return map[string]any{"appRef": map[string]any{"name": b.app.Name}, "sinks": sinks}
	}
	crm := map[string]any{"name": "crm", "ref": map[string]any{"kind": "Service", "name": "crm"}}
	chat := map[string]any{"name": "chat", "uri": "https://chat.example/events"}
	metadata := map[string]any{"labels": map[string]any{"team": "shop"}, "annotations": map[string]any{"owner": "shop"}}

	apply(gitops, metadata, spec(crm, chat))
	b.ch = reload(t, &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: b.ch.Namespace, Name: name}})
	t.Cleanup(func() { remove(t, b.ch) })
	settles := func(when string) {
		t.Helper()
		b.reconcile()
		before := reload(t, b.ch).ResourceVersion
		apply(gitops, metadata, spec(crm, chat))
		if after := reload(t, b.ch); after.ResourceVersion != before {
			t.Errorf("%s: to apply the same again changed the channel", when)
		}
		b.writes.take()
		b.reconcile()
		if n := b.writes.take(); n != 0 {
			t.Errorf("%s: %d writes after the same was applied again", when, n)
		}
	}
	settles("new")
	b.authorize()
	b.reconcile()
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	settles("authorized")
	apply("kubectl", map[string]any{"annotations": map[string]any{v1alpha1.RefreshRequestedAtAnnotation: "by hand"}}, nil)
	settles("refreshed")
	if got := reload(t, b.ch); got.Annotations[v1alpha1.RefreshRequestedAtAnnotation] != "by hand" || got.Status.LastHandledRefreshAt != "by hand" {
		t.Errorf("the request is %q, the answer %q", got.Annotations[v1alpha1.RefreshRequestedAtAnnotation], got.Status.LastHandledRefreshAt)
	}

	// Another tool owns other fields, and what the first one gives up goes.
	apply("cost-tool", map[string]any{"labels": map[string]any{"cost-center": "7"}}, nil)
	apply(gitops, metadata, spec(chat))
	b.reconcile()
	got := reload(t, b.ch)
	if len(got.Spec.Sinks) != 1 || got.Spec.Sinks[0].Name != "chat" || got.Labels["cost-center"] != "7" || got.Labels["team"] != "shop" {
		t.Errorf("labels %v, sinks %+v", got.Labels, got.Spec.Sinks)
	}
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

	for _, entry := range got.ManagedFields {
		var owned map[string]map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
			t.Fatal(err)
		}
		if _, ok := owned["f:spec"]; ok && entry.Manager != string(gitops) {
			t.Errorf("%s owns fields of the spec: %s", entry.Manager, entry.FieldsV1.GetRawString())
		}
		if slices.Contains([]string{string(gitops), "cost-tool", "kubectl"}, entry.Manager) {
			continue
		}
		for field := range owned["f:metadata"] {
			if field != "f:finalizers" {
				t.Errorf("%s owns %s: %s", entry.Manager, field, entry.FieldsV1.GetRawString())
			}
		}
	}
}

// TestSecretLabelledByOthers: what other tools keep on a token Secret, such as the labels of a backup, outlives refreshes, and theirs does not
// take the tokens.
func TestSecretLabelledByOthers(t *testing.T) {
	b := connected(t)
	label := func() {
		t.Helper()
		u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{
			"labels": map[string]any{"backup": "daily"}, "annotations": map[string]any{"reflector": "off"},
		}}}
		u.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
		u.SetNamespace(b.ch.Namespace)
		u.SetName(b.ch.TokenSecretName())
		if err := k8s.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("backup-tool")); err != nil {
			t.Fatal(err)
		}
	}
	label()
	for range 2 {
		b.clock.Step(b.reconcile())
		b.reconcile()
		label()
		b.works()
	}
	s := b.secret()
	if s.Labels["backup"] != "daily" || s.Annotations["reflector"] != "off" || s.Labels[v1alpha1.ChannelLabel] != b.ch.Name {
		t.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// TestNewObjectsHaveAStatus: expressions of tools may take for granted that there is a status, before the operator has looked at anything.
func TestNewObjectsHaveAStatus(t *testing.T) {
	t.Run("channel", func(t *testing.T) { sameAsRecorded(t, "channel new", asChannel(reload(t, newBench(t).ch))) })
	t.Run("app", func(t *testing.T) {
		b := newAppBench(t)
		b.load(b.app)
		sameAsRecorded(t, "app new", asApp(b.app))
	})
}

// TestAppsAsOthersSeeThem records apps in the states that tools tell apart.
func TestAppsAsOthersSeeThem(t *testing.T) {
	for name, happens := range map[string]func(b *appBench){
		"ready":                func(*appBench) {},
		"credentials refused":  func(b *appBench) { b.sim.SetAppSecret("another") },
		"secret not readable":  (*appBench).mayReadNothing,
		"tiktok away":          func(b *appBench) { b.network.silent = true },
		"webhook unreachable":  (*appBench).unreachable,
		"webhook not approved": func(b *appBench) { b.network.unapproved = comments },
	} {
		t.Run(name, func(t *testing.T) {
			b := newAppBench(t, bothEventTypes)
			happens(b)
			b.pass()
			b.load(b.app)
			sameAsRecorded(t, "app "+name, asApp(b.app))
		})
	}
}

// recorded is where objects are kept as the operator writes them. The tests of Argo CD's, Flux's and kstatus' view read them there.
const recorded = "../test/gitops/testdata"

// What differs from run to run, and what no tool judges by.
var sometime = metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))

func asChannel(ch *v1alpha1.TiktokChannel) client.Object {
	ch = ch.DeepCopy()
	plain(ch.Status.Conditions)
	if ch.Status.NextRefreshTime != nil {
		ch.Status.NextRefreshTime = &sometime
	}
	if ch.Status.AuthorizationURL != "" {
		ch.Status.AuthorizationURL = "https://tiktok.example.com/oauth/start?link=…"
	}
	ch.APIVersion, ch.Kind = v1alpha1.GroupVersion.String(), v1alpha1.TiktokChannelKind
	ch.ObjectMeta = metav1.ObjectMeta{Name: "acme", Namespace: "shop", Generation: ch.Generation}
	return ch
}

func asApp(app *v1alpha1.TiktokApp) client.Object {
	app = app.DeepCopy()
	plain(app.Status.Conditions)
	app.Spec.Endpoints = nil // of a simulator
	app.APIVersion, app.Kind = v1alpha1.GroupVersion.String(), v1alpha1.TiktokAppKind
	app.ObjectMeta = metav1.ObjectMeta{Name: "acme", Generation: app.Generation}
	return app
}

func plain(conditions []metav1.Condition) {
	for i := range conditions {
		conditions[i].LastTransitionTime, conditions[i].Message = sometime, "because"
	}
}

// sameAsRecorded compares an object in a state with the one that was recorded, and records it if $RECORD is set.
func sameAsRecorded(t *testing.T, state string, o client.Object) {
	t.Helper()
	got, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(recorded, strings.ReplaceAll(state, " ", "-")+".yaml")
	if os.Getenv("RECORD") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the object is not as it was recorded in %s (RECORD=1 records it anew):\n%s", path, got)
	}
}

func text(t *testing.T, o client.Object) string {
	t.Helper()
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
