package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// text is a new copy of a text, as the decoder makes one for each object.
func text(s string) string { return strings.Clone(s) }

func cachedChannel(name string) *v1alpha1.TiktokChannel {
	ch := &v1alpha1.TiktokChannel{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: text("shops"), Name: name, Finalizers: []string{text(v1alpha1.Finalizer)},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: text("app")}},
	}
	ch.Status.GrantedScopes = []string{text("user.info.basic"), text("message.list.read")}
	ch.Status.Conditions = []metav1.Condition{
		{Type: text("Ready"), Status: metav1.ConditionTrue, Reason: text("Succeeded"), Message: text("The channel works.")},
	}
	return ch
}

func cachedSecret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: text("shops"), Name: name, Labels: map[string]string{text(v1alpha1.ChannelLabel): name},
			Annotations:   map[string]string{text(v1alpha1.ObtainedAtAnnotation): "2026-11-23T12:00:00Z"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "manager"}},
		},
		Type: corev1.SecretType(text(v1alpha1.TokenSecretType)), Data: map[string][]byte{text(v1alpha1.AccessTokenKey): []byte("token of " + name)},
	}
}

// What the cache keeps is what came, but for managedFields.
func TestSharingChangesNothing(t *testing.T) {
	s := newSharer()
	for i := range 3 {
		name := fmt.Sprint("shop-", i)
		channel, err := s.channel(cachedChannel(name))
		want := cachedChannel(name)
		want.ManagedFields = nil
		if err != nil || !reflect.DeepEqual(channel, want) {
			t.Errorf("channel %+v, want %+v, error %v", channel, want, err)
		}
		secret, err := s.secret(cachedSecret(name))
		wantSecret := cachedSecret(name)
		wantSecret.ManagedFields = nil
		if err != nil || !reflect.DeepEqual(secret, wantSecret) {
			t.Errorf("Secret %+v, want %+v, error %v", secret, wantSecret, err)
		}
	}
	for _, other := range []any{"a tombstone", nil} {
		if got, err := s.channel(other); got != other || err != nil {
			t.Errorf("%v became %v, error %v", other, got, err)
		}
		if got, err := s.secret(other); got != other || err != nil {
			t.Errorf("%v became %v, error %v", other, got, err)
		}
	}
}

// What two channels have in common is in memory once, and of tokens nothing is kept.
func TestSharing(t *testing.T) {
	s := newSharer()
	a, b := cachedChannel("a"), cachedChannel("b")
	for _, ch := range []*v1alpha1.TiktokChannel{a, b} {
		if _, err := s.channel(ch); err != nil {
			t.Fatal(err)
		}
	}
	for what, pair := range map[string][2]string{
		"namespace": {a.Namespace, b.Namespace}, "app": {a.Spec.AppRef.Name, b.Spec.AppRef.Name}, "finalizer": {a.Finalizers[0], b.Finalizers[0]},
		"condition": {a.Status.Conditions[0].Type, b.Status.Conditions[0].Type}, "reason": {a.Status.Conditions[0].Reason, b.Status.Conditions[0].Reason},
		"message": {a.Status.Conditions[0].Message, b.Status.Conditions[0].Message}, "scope": {a.Status.GrantedScopes[0], b.Status.GrantedScopes[0]},
	} {
		if unsafe.StringData(pair[0]) != unsafe.StringData(pair[1]) {
			t.Errorf("the %s %q is there twice", what, pair[0])
		}
	}
	if &a.Status.GrantedScopes[0] != &b.Status.GrantedScopes[0] {
		t.Error("the list of scopes is there twice")
	}
	if _, err := s.secret(cachedSecret("a")); err != nil {
		t.Fatal(err)
	}
	for kept := range s.texts {
		if strings.Contains(kept, "token of") {
			t.Errorf("%q is kept", kept)
		}
	}
}

// Texts that are each channel's own do not pile up.
func TestSharingIsBounded(t *testing.T) {
	s := newSharer()
	for i := range 2 * maxShared {
		ch := cachedChannel("shop")
		ch.Status.Conditions[0].Message = fmt.Sprint("unlike any other: ", i)
		ch.Status.GrantedScopes = []string{fmt.Sprint("scope-", i)}
		if _, err := s.channel(ch); err != nil || ch.Status.Conditions[0].Message != fmt.Sprint("unlike any other: ", i) {
			t.Fatal(err, ch.Status.Conditions)
		}
	}
	if len(s.texts) > maxShared || len(s.scopes) > maxShared {
		t.Errorf("%d texts and %d lists are kept", len(s.texts), len(s.scopes))
	}
}
