package bundle

import (
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

func TestOfASinksAddressTheHostIsLeft(t *testing.T) {
	for uri, want := range map[string]string{
		"https://hooks.example.com/services/T0/B0/secret-1":   "https://hooks.example.com/…",
		"https://crm.example.com:8443/in?key=secret-1":        "https://crm.example.com:8443/…",
		"https://user:secret-1@crm.example.com":               "https://crm.example.com",
		"https://crm.example.com/":                            "https://crm.example.com",
		"https://crm.example.com/?secret-1":                   "https://crm.example.com/…",
		"https://hooks.example.com/services/T0/B0/secret-1-2": "https://hooks.example.com/…",
		"%%secret-1": "…",
		"":           "",
	} {
		ch := &v1alpha1.TiktokChannel{}
		// The first address is the beginning of another.
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "first", URI: "https://hooks.example.com/services/T0/B0/secret-1"}, {Name: "crm", URI: uri}}
		ch.Status.AuthorizationURL = "https://messaging.example.com/oauth/start?link=secret-1"
		var r redactor
		r.channel(ch)
		if got := ch.Spec.Sinks[1].URI; got != want {
			t.Errorf("%s becomes %s, want %s", uri, got, want)
		}
		log := string(r.text([]byte("delivering to " + uri + " failed; nats://operator:secret-1@nats:4222")))
		if strings.Contains(log, "secret-1") || strings.Contains(log, "-2") || ch.Status.AuthorizationURL != "" {
			t.Errorf("a log says %q", log)
		}
	}
}
