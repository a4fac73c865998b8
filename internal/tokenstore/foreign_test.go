package tokenstore_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// foreign makes a Secret of the token Secret's name as somebody else would.
func foreign(t *testing.T, ch *v1alpha1.TiktokChannel, kind corev1.SecretType, label string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ch.Namespace, Name: ch.TokenSecretName(), Labels: map[string]string{v1alpha1.ChannelLabel: label}},
		Type:       kind, StringData: map[string]string{v1alpha1.RefreshTokenKey: "SECRET-theirs"},
	}
	if label == "" {
		secret.Labels = nil
	}
	if err := k8s.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// TestForeignSecret: whatever is done, a Secret that is not the channel's own stays as it is, also when it appears during a refresh.
func TestForeignSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		kind  corev1.SecretType
		label func(ch *v1alpha1.TiktokChannel) string
	}{
		"another type":        {corev1.SecretTypeOpaque, func(ch *v1alpha1.TiktokChannel) string { return ch.Name }},
		"no label":            {v1alpha1.TokenSecretType, func(*v1alpha1.TiktokChannel) string { return "" }},
		"of another channel":  {v1alpha1.TokenSecretType, func(*v1alpha1.TiktokChannel) string { return "another" }},
		"nothing of the kind": {corev1.SecretTypeOpaque, func(*v1alpha1.TiktokChannel) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch, p := connected(t), newProcess(t, "manager")
			claimed := p.claim(t, ch)
			own := p.read(t, ch)
			remove(t, secretOf(t, ch))
			secret := foreign(t, ch, tc.kind, tc.label(ch))

			if result, snap := claimed.Save(t.Context(), tokens(2), token.Memory{}); result != tokenstore.Superseded || snap != nil {
				t.Errorf("save: %s %v", result, snap)
			}
			var notOwned *tokenstore.NotOwnedError
			_, err := p.Get(t.Context(), ch)
			if !errors.As(err, &notOwned) {
				t.Fatalf("get: %v", err)
			}
			noToken(t, err.Error())
			for what, snap := range map[string]*tokenstore.Snapshot{"that was not there": nil, "that was the channel's": own} {
				if _, err := p.Claim(t.Context(), ch, snap); !errors.Is(err, tokenstore.ErrChanged) {
					t.Errorf("claim of a Secret %s: %v", what, err)
				}
			}
			if err := p.Authorize(t.Context(), ch, tokens(3), 0); !errors.As(err, &notOwned) {
				t.Errorf("authorize: %v", err)
			}
			if _, err := p.Epoch(t.Context(), ch); !errors.As(err, &notOwned) {
				t.Errorf("epoch: %v", err)
			}
			if err := p.Delete(t.Context(), ch); err != nil {
				t.Errorf("delete: %v", err)
			}
			if after := secretOf(t, ch); !reflect.DeepEqual(after.ObjectMeta, secret.ObjectMeta) {
				t.Errorf("the Secret was touched: %+v", after.ObjectMeta)
			}
		})
	}
}

// TestImmutableSecret: it cannot be written, so no refresh is risked and no authorization is tried for ever.
func TestImmutableSecret(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	secret := secretOf(t, ch)
	secret.Immutable = ptr.To(true)
	if err := k8s.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	var notWritable *tokenstore.NotWritableError
	if _, err := p.Claim(t.Context(), ch, p.read(t, ch)); !errors.As(err, &notWritable) {
		t.Errorf("claim: %v", err)
	}
	if err := p.Authorize(t.Context(), ch, tokens(2), 1); !errors.As(err, &notWritable) {
		t.Errorf("authorize: %v", err)
	}
	if after := secretOf(t, ch); after.ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was touched")
	}
}

// TestDelete: the channel's own Secret goes; what could not be asked for is an error and not taken for done.
func TestDelete(t *testing.T) {
	ch := connected(t)
	away := errors.New("away")
	p := newProcess(t, "manager", interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return away
		},
	})
	if err := p.Delete(t.Context(), ch); !errors.Is(err, away) {
		t.Errorf("the Secret cannot be read: %v", err)
	}
	has(t, ch, 1)
	for range 2 {
		if err := newProcess(t, "manager").Delete(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if snap := newProcess(t, "reader").read(t, ch); snap != nil {
			t.Error("the Secret is still there")
		}
	}
}
