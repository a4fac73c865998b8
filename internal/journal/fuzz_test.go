package journal

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// FuzzDecode reads any file: it is refused, or it is an entry of a channel, with a refresh token if it has an answer, that is the same when
// it is written and read again.
func FuzzDecode(f *testing.F) {
	at := time.Date(2031, 5, 1, 12, 0, 0, 1, time.UTC)
	text, err := json.Marshal(encode(Entry{
		Namespace: "n", Name: "c", UID: "u", BaseDigest: "d", StartedAt: at, Memory: token.Memory{Failures: &token.Failures{Count: 1}},
		Tokens: &token.Tokens{AccessToken: "a", RefreshToken: "r", Scopes: []string{"s"}, ObtainedAt: at},
	}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte(`{"namespace":"n","name":"c","uid":"u"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := decode(text)
		if err != nil {
			return
		}
		if e.Namespace == "" || e.Name == "" || e.UID == "" || (e.Tokens != nil && e.Tokens.RefreshToken == "") {
			t.Fatalf("accepted %q", text)
		}
		first, err := json.Marshal(encode(e))
		if err != nil {
			t.Fatalf("%q is accepted and cannot be written: %v", text, err)
		}
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%q is accepted and cannot be read again: %v", text, err)
		}
		if second, err := json.Marshal(encode(again)); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%q is altered by writing it: %s, then %s (%v)", text, first, second, err)
		}
	})
}
