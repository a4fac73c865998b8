package token_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

func TestTokensRoundTrip(t *testing.T) {
	want := fresh()
	got, err := token.Decode(&corev1.Secret{Data: want.Data()})
	want.ObtainedAt = time.Time{} // an annotation, not data
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestDecodeEditedSecrets(t *testing.T) {
	edit := func(key, value string) *corev1.Secret {
		data := fresh().Data()
		data[key] = []byte(value)
		return &corev1.Secret{Data: data}
	}
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		want   error
	}{
		"empty":                  {&corev1.Secret{}, token.ErrNoRefreshToken},
		"blank refresh token":    {edit(v1alpha1.RefreshTokenKey, " \n"), token.ErrNoRefreshToken},
		"expiry in words":        {edit(v1alpha1.AccessTokenExpiresAtKey, "tomorrow"), token.ErrInvalidTime},
		"expiry as Unix seconds": {edit(v1alpha1.RefreshTokenExpiresAtKey, "1795000000"), token.ErrInvalidTime},
		"trailing newlines":      {edit(v1alpha1.RefreshTokenKey, "refresh\n"), nil},
		"scopes with spaces":     {edit(v1alpha1.ScopeKey, "a, b"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := token.Decode(tc.secret)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want == nil && (got.RefreshToken.Reveal() != "refresh" || len(got.Scopes) != 2) {
				t.Fatalf("decoded scopes %v", got.Scopes)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("r"), []byte("2026-01-02T03:04:05Z"), []byte("a,b"), "2026-01-02T03:04:05Z", `{"failures":{"count":1}}`)
	f.Add([]byte(""), []byte("x"), []byte(",, "), "", `{`)
	f.Fuzz(func(t *testing.T, refresh, expiry, scope []byte, obtained, memory string) {
		secret := &corev1.Secret{Data: map[string][]byte{
			v1alpha1.RefreshTokenKey: refresh, v1alpha1.AccessTokenExpiresAtKey: expiry, v1alpha1.ScopeKey: scope,
		}}
		secret.Annotations = map[string]string{v1alpha1.ObtainedAtAnnotation: obtained, token.MemoryAnnotation: memory}
		got, err := token.Decode(secret)
		if errors.Is(err, token.ErrNoRefreshToken) != (got.RefreshToken == "") {
			t.Fatalf("refresh token and error disagree: %v", err)
		}
		// What was decoded survives being written and read again.
		again, _ := token.Decode(&corev1.Secret{Data: got.Data()})
		again.ObtainedAt = got.ObtainedAt
		if got.RefreshToken != "" && !reflect.DeepEqual(got, again) && len(got.Scopes)+len(again.Scopes) > 0 {
			t.Fatalf("%+v became %+v", got, again)
		}
		token.DecodeState(secret)
	})
}

func TestStateRoundTrip(t *testing.T) {
	want := token.State{Epoch: 7, Claim: &token.Claim{Holder: "a", Time: now}, Memory: token.Memory{
		HandledRequest: "x", ImportDigest: "d", Failures: &token.Failures{Count: 1, LastTime: now, NextTime: now, Reason: "r", Generation: 2},
	}}
	var secret corev1.Secret
	if err := want.Encode(&secret); err != nil {
		t.Fatal(err)
	}
	if got := token.DecodeState(&secret); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if err := (token.State{}).Encode(&secret); err != nil || len(secret.Annotations) != 1 {
		t.Fatalf("an empty state leaves %v, %v", secret.Annotations, err)
	}
}

func TestClaimHolds(t *testing.T) {
	at := func(d time.Duration) token.State {
		return token.State{Claim: &token.Claim{Holder: "other", Time: now.Add(d)}}
	}
	for name, tc := range map[string]struct {
		state token.State
		held  bool
	}{
		"none":            {token.State{}, false},
		"our own":         {token.State{Claim: &token.Claim{Holder: "me", Time: now}}, false},
		"just now":        {at(0), true},
		"29 s ago":        {at(-29 * time.Second), true},
		"30 s ago":        {at(-30 * time.Second), false},
		"from the future": {at(time.Hour), true},
	} {
		t.Run(name, func(t *testing.T) {
			until := tc.state.HeldBy("me", now)
			if until.IsZero() == tc.held || until.After(now.Add(token.ClaimLifetime)) {
				t.Fatalf("held until %s", until)
			}
		})
	}
}
