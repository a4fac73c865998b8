package sink_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

const (
	whsec    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	unpadded = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBk" // 26 bytes: base64 would end in =
	plain    = "a plain key of enough bytes, ü and +/="
)

// signer resolves a sink whose Secret holds what is given.
func signer(t *testing.T, secret map[string]string) (*sink.SigningKey, error) {
	t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}, Data: map[string][]byte{}}
	for key, value := range secret {
		object.Data[key] = []byte(value)
	}
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ch"}}
	target, err := sink.Resolve(t.Context(), fake.NewClientBuilder().WithObjects(object).Build(), ch, &v1alpha1.Sink{
		Name: "s", URI: "https://public.example/", SigningSecretRef: &v1alpha1.SecretKeyReference{Name: "keys", Key: "key"},
	})
	return target.SigningKey, err
}

// signed makes the headers as the dispatcher does.
func signed(key *sink.SigningKey, id string, body []byte) http.Header {
	now := time.Now() // which the reference library compares with
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	h.Set("webhook-signature", key.Sign(id, now, body))
	return h
}

// verifier is the reference library, given the secret as its users would give it.
func verifier(t *testing.T, secret string) *standardwebhooks.Webhook {
	t.Helper()
	secret = strings.TrimSpace(secret)
	newWebhook := func() (*standardwebhooks.Webhook, error) { return standardwebhooks.NewWebhookRaw([]byte(secret)) }
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		newWebhook = func() (*standardwebhooks.Webhook, error) {
			return standardwebhooks.NewWebhook("whsec_" + encoded + strings.Repeat("=", (4-len(encoded)%4)%4))
		}
	}
	w, err := newWebhook()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestReferenceLibraryVerifiesSignatures(t *testing.T) {
	for _, secret := range []string{
		whsec, whsec + "\n", unpadded, unpadded + "=", plain, "\n " + plain + "\r\n", strings.Repeat("x", 24), base64.StdEncoding.EncodeToString([]byte(plain)),
		"whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff\x00", 32))),
	} {
		key, err := signer(t, map[string]string{"key": secret})
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{`{"text":"hi ü 😀 \u2028 </script>"}`, "", "\x00\xff"} {
			h := signed(key, "evt_mXo2M0m0jYl0T2n5Cw0kWq1r", []byte(body))
			if err := verifier(t, secret).Verify([]byte(body), h); err != nil {
				t.Errorf("%q: %v", secret, err)
			}
			if verifier(t, secret).Verify([]byte(body+" "), h) == nil || verifier(t, "another secret of enough bytes").Verify([]byte(body), h) == nil {
				t.Errorf("%q: a wrong body or secret passes", secret)
			}
			h.Set("webhook-id", "evt_other")
			if verifier(t, secret).Verify([]byte(body), h) == nil {
				t.Errorf("%q: a wrong id passes", secret)
			}
		}
	}
}

// While the Secret holds both, receivers with either are content; afterwards only those that have changed over.
func TestSecretIsRotated(t *testing.T) {
	const before = "the key that was there before it"
	for name, tc := range map[string]struct {
		secret     map[string]string
		signatures int
		passes     []string
		fails      []string
	}{
		"before":               {map[string]string{"key": before}, 1, []string{before}, []string{whsec}},
		"meanwhile":            {map[string]string{"key": whsec, "key_previous": before + "\n"}, 2, []string{whsec, before}, []string{plain}},
		"afterwards":           {map[string]string{"key": whsec}, 1, []string{whsec}, []string{before}},
		"previous left empty":  {map[string]string{"key": whsec, "key_previous": "\n"}, 1, []string{whsec}, []string{before}},
		"the same twice":       {map[string]string{"key": whsec, "key_previous": whsec + "\n"}, 1, []string{whsec}, nil},
		"another key's":        {map[string]string{"key": whsec, "other_previous": before}, 1, []string{whsec}, []string{before}},
		"both in another form": {map[string]string{"key": plain, "key_previous": unpadded}, 2, []string{plain, unpadded}, []string{whsec}},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := signer(t, tc.secret)
			if err != nil {
				t.Fatal(err)
			}
			body := []byte(`{"a":1}`)
			h := signed(key, "evt_1", body)
			if got := strings.Split(h.Get("webhook-signature"), " "); len(got) != tc.signatures || !strings.HasPrefix(got[0], "v1,") {
				t.Errorf("the signature is %q", got)
			}
			for _, secret := range tc.passes {
				if err := verifier(t, secret).Verify(body, h); err != nil {
					t.Errorf("a receiver with %q refuses: %v", secret, err)
				}
			}
			for _, secret := range tc.fails {
				if verifier(t, secret).Verify(body, h) == nil {
					t.Errorf("a receiver with %q accepts", secret)
				}
			}
		})
	}
}

func TestBrokenPreviousSecretIsNamed(t *testing.T) {
	for _, broken := range []string{"whsec_!!!", "sh0rt"} {
		key, err := signer(t, map[string]string{"key": whsec, "key_previous": broken})
		if key != nil || err == nil || !strings.Contains(err.Error(), `"key_previous" of Secret ns/keys`) || strings.Contains(err.Error(), broken) {
			t.Errorf("%s: got %v", broken, err)
		}
	}
}
