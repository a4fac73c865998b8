package imports

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		refused        bool
	}{
		{name: "flat", in: `{"refresh_token":" rft.1 ","access_token":"act.1","scope":"x"}`, want: "rft.1 act.1"},
		{name: "TikTok's answer", in: `{"code":0,"data":{"refresh_token":"rft.1","access_token":"act.1"}}`, want: "rft.1 act.1"},
		{name: "refresh token alone", in: `{"refresh_token":"rft.1"}`, want: "rft.1 "},
		{name: "none", in: `{"access_token":"act.1"}`, refused: true},
		{name: "empty", in: `{"refresh_token":""}`, refused: true},
		{name: "of another type", in: `{"refresh_token":{"rft":"secret-1"}}`, refused: true},
		{name: "not JSON", in: `rft.secret-1`, refused: true},
		{name: "a list", in: `["secret-1"]`, refused: true},
		{name: "too long", in: `{"refresh_token":"` + strings.Repeat("secret-1", 10_000) + `"}`, refused: true},
	} {
		tokens, err := read(strings.NewReader(tt.in), "-")
		if (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-1") {
			t.Errorf("%s: the error repeats a token: %v", tt.name, err)
		}
		if got := tokens["refresh_token"] + " " + tokens["access_token"]; err == nil && got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A second import leaves no token of the first.
func TestImportReplacesWhatWasImported(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "old"}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main"}},
		&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"refresh_token": []byte("r1"), "access_token": []byte("a1"), "note": []byte("mine")}},
	).Build()
	key := client.ObjectKey{Namespace: "shop", Name: "main"}
	if err := run(t.Context(), c, key, "old", map[string]string{"refresh_token": "r2"}); err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "old"}, &secret); err != nil {
		t.Fatal(err)
	}
	if _, kept := secret.Data["access_token"]; kept || secret.StringData["refresh_token"] != "r2" || string(secret.Data["note"]) != "mine" {
		t.Errorf("the Secret holds %v and %v", slices.Sorted(maps.Keys(secret.Data)), slices.Sorted(maps.Keys(secret.StringData)))
	}
}
