package controllers

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

func TestAddressesOfSinksAreTold(t *testing.T) {
	const private, ok = "must be public", ""
	for uri, want := range map[string]struct{ unknown, refused, allowed string }{
		"https://example.com/hook":        {ok, ok, ok},
		"https://1.1.1.1/":                {ok, ok, ok},
		"https://10.0.0.1/":               {private, private, ok},
		"https://169.254.169.254/latest/": {private, private, ok},
		"https://[::ffff:7f00:1]/":        {private, private, ok},
		"https://2130706433/":             {private, private, ok},
		"https://localhost/":              {private, private, ok},
		"http://localhost:9000/":          {ok, private, ok}, // the schema admits it, for development
		"http://127.0.0.1:9000/":          {ok, private, ok},
		"http://10.0.0.1/":                {"https", "https", "https"},
		"ftp://example.com/":              {"absolute", "absolute", "absolute"},
		"https://user:secret@example.com": {"bearerTokenSecretRef", "bearerTokenSecretRef", "bearerTokenSecretRef"},
	} {
		for message, resolve := range map[string]SinkResolver{
			want.unknown + "\x00unknown": ResolveSinks(fake.NewFakeClient()),
			want.refused + "\x00refused": ResolveSinks(fake.NewFakeClient(), PrivateSinks(false)),
			want.allowed + "\x00allowed": ResolveSinks(fake.NewFakeClient(), PrivateSinks(true)),
		} {
			message, policy, _ := strings.Cut(message, "\x00")
			reason, err := resolve(t.Context(), &v1alpha1.TiktokChannel{}, &v1alpha1.Sink{Name: "s", URI: uri})
			switch {
			case message == "" && (err != nil || reason != ""):
				t.Errorf("%s, %s: %s %v", uri, policy, reason, err)
			case message != "" && (err == nil || reason != v1alpha1.ReasonSinkInvalid || !strings.Contains(err.Error(), message)):
				t.Errorf("%s, %s: %s %v, want %q", uri, policy, reason, err, message)
			case err != nil && strings.Contains(err.Error(), "user:secret"):
				t.Errorf("the credential is told: %v", err)
			}
		}
	}
}

func TestForbiddenAddressShowsInTheCondition(t *testing.T) {
	b := newBench(t, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "metadata", URI: "https://169.254.169.254/latest/"}, {Name: "good", URI: "https://example.com/"}}
	})
	b.r.ResolveSink = ResolveSinks(k8s)
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkInvalid)
	message := meta.FindStatusCondition(reload(t, b.ch).Status.Conditions, v1alpha1.SinksResolvedCondition).Message
	if !strings.Contains(message, `"metadata"`) || !strings.Contains(message, "169.254.169.254 is link-local") || strings.Contains(message, "good") {
		t.Errorf("the message is %q", message)
	}
	b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Sinks[0].URI = "https://example.com/latest/" })
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
}
