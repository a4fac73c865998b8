package tiktok_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

var (
	signedAt  = time.Unix(1_700_000_000, 0)
	tolerance = tiktok.Tolerance{Past: 72 * time.Hour, Future: 5 * time.Minute}
	hookBody  = []byte(`{"event":"im_receive_msg","content":"{\"a\":1}"}`)
)

// digest makes a signature without the code under test.
func digest(key, timestamp string, body []byte) string {
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(m, "%s.%s", timestamp, body)
	return hex.EncodeToString(m.Sum(nil))
}

func TestVerifySignature(t *testing.T) {
	const ts = "1700000000"
	current, previous := digest("current", ts, hookBody), digest("previous", ts, hookBody)
	wrong := strings.Repeat("0", 64)
	both := []tiktok.Secret{"current", "previous"}
	tests := map[string]struct {
		header  string
		secrets []tiktok.Secret
		body    string
		after   time.Duration // from the signature to now
		want    error
	}{
		"the usual":                    {header: "t=" + ts + ",s=" + current},
		"made by Sign":                 {header: tiktok.Sign("current", hookBody, signedAt)},
		"with spaces":                  {header: "  t = " + ts + " ,  s = " + current + "  "},
		"in the other order":           {header: "s=" + current + ",t=" + ts},
		"in upper case":                {header: "t=" + ts + ",s=" + strings.ToUpper(current)},
		"with parts that are new":      {header: "v=2,t=" + ts + ",x,s=" + current + ",alg=hmac,"},
		"with the previous secret":     {header: "t=" + ts + ",s=" + previous},
		"several, the last is good":    {header: "t=" + ts + ",s=" + wrong + ",s=zz,s=" + current},
		"several, the first is good":   {header: "t=" + ts + ",s=" + current + ",s=" + wrong},
		"the same time twice":          {header: "t=" + ts + ",t=" + ts + ",s=" + current},
		"just young enough":            {header: "t=" + ts + ",s=" + current, after: 72 * time.Hour},
		"just not too far ahead":       {header: "t=" + ts + ",s=" + current, after: -5 * time.Minute},
		"an empty secret beside":       {header: "t=" + ts + ",s=" + current, secrets: []tiktok.Secret{"", "current"}},
		"nothing":                      {header: "", want: tiktok.ErrSignatureMissing},
		"spaces only":                  {header: "  ", want: tiktok.ErrSignatureMissing},
		"no time":                      {header: "s=" + current, want: tiktok.ErrSignatureMalformed},
		"an empty time":                {header: "t=,s=" + current, want: tiktok.ErrSignatureMalformed},
		"two times":                    {header: "t=" + ts + ",t=1700000001,s=" + current, want: tiktok.ErrSignatureMalformed},
		"a time with a sign":           {header: "t=+" + ts + ",s=" + current, want: tiktok.ErrSignatureMalformed},
		"a time that is negative":      {header: "t=-" + ts + ",s=" + current, want: tiktok.ErrSignatureMalformed},
		"a time in words":              {header: "t=now,s=" + current, want: tiktok.ErrSignatureMalformed},
		"a time beyond all":            {header: "t=99999999999999999999,s=" + current, want: tiktok.ErrSignatureMalformed},
		"no signature":                 {header: "t=" + ts, want: tiktok.ErrSignatureMalformed},
		"an empty signature":           {header: "t=" + ts + ",s=", want: tiktok.ErrSignatureMalformed},
		"half a signature":             {header: "t=" + ts + ",s=" + current[:32], want: tiktok.ErrSignatureMalformed},
		"a signature that is not hex":  {header: "t=" + ts + ",s=" + strings.Repeat("g", 64), want: tiktok.ErrSignatureMalformed},
		"only the value":               {header: current, want: tiktok.ErrSignatureMalformed},
		"a header without end":         {header: "t=" + ts + ",s=" + current + strings.Repeat(",s="+wrong, 100), want: tiktok.ErrSignatureMalformed},
		"a wrong signature":            {header: "t=" + ts + ",s=" + wrong, want: tiktok.ErrSignatureMismatch},
		"another body":                 {header: "t=" + ts + ",s=" + current, body: "{}", want: tiktok.ErrSignatureMismatch},
		"another time":                 {header: "t=1700000001,s=" + current, want: tiktok.ErrSignatureMismatch},
		"another secret":               {header: "t=" + ts + ",s=" + current, secrets: []tiktok.Secret{"next"}, want: tiktok.ErrSignatureMismatch},
		"no secrets":                   {header: "t=" + ts + ",s=" + current, secrets: []tiktok.Secret{}, want: tiktok.ErrSignatureMismatch},
		"signed with the empty secret": {header: "t=" + ts + ",s=" + digest("", ts, hookBody), secrets: []tiktok.Secret{""}, want: tiktok.ErrSignatureMismatch},
		"too old":                      {header: "t=" + ts + ",s=" + current, after: 72*time.Hour + time.Second, want: tiktok.ErrTooOld},
		"too far ahead":                {header: "t=" + ts + ",s=" + current, after: -5*time.Minute - time.Second, want: tiktok.ErrInFuture},
		"of 1970":                      {header: "t=0,s=" + digest("current", "0", hookBody), want: tiktok.ErrTooOld},
		"of the year 5138":             {header: "t=99999999999,s=" + digest("current", "99999999999", hookBody), want: tiktok.ErrInFuture},
		"wrong and too old":            {header: "t=" + ts + ",s=" + wrong, after: 100 * time.Hour, want: tiktok.ErrSignatureMismatch},
		"wrong and too far ahead":      {header: "t=" + ts + ",s=" + wrong, after: -100 * time.Hour, want: tiktok.ErrSignatureMismatch},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			secrets, body := tt.secrets, hookBody
			if secrets == nil {
				secrets = both
			}
			if tt.body != "" {
				body = []byte(tt.body)
			}
			err := tiktok.VerifySignature(tt.header, body, secrets, signedAt.Add(tt.after), tolerance)
			if !errors.Is(err, tt.want) || (err != nil && tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzSignatureHeader: without the secret no header is accepted, and none crashes; and only the genuine learn of ages.
func FuzzSignatureHeader(f *testing.F) {
	for _, body := range tiktok.WireBodies(f) {
		genuine := tiktok.Sign("another secret", body, signedAt)
		f.Add(genuine, body)
		f.Add("s="+strings.Repeat("ab", 32)+","+genuine, body)
	}
	f.Add("t=1700000000,s="+strings.Repeat("0", 64), []byte("{}"))
	f.Add(" s = "+strings.Repeat("A", 64)+" , t = 1700000000", []byte(""))
	f.Add("t=1,t=1,s=,s=zz", []byte("x"))
	f.Add(",,,===", []byte("x"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		err := tiktok.VerifySignature(header, body, []tiktok.Secret{"a secret that no header knows"}, signedAt, tolerance)
		if err == nil || errors.Is(err, tiktok.ErrTooOld) || errors.Is(err, tiktok.ErrInFuture) {
			t.Fatalf("%q is taken for genuine: %v", header, err)
		}
	})
}

// FuzzSign: what was signed verifies, whatever else the header says about other things, and what was altered does not.
func FuzzSign(f *testing.F) {
	for _, body := range tiktok.WireBodies(f) {
		f.Add("7d5f0c1e9b8a", body, int64(1_785_578_400), "s="+strings.Repeat("ab", 32))
	}
	f.Add("secret", []byte(`{"event":"x"}`), int64(1_700_000_000), "v=1")
	f.Add("s", []byte{}, int64(0), "s="+strings.Repeat("f", 64))
	f.Fuzz(func(t *testing.T, secret string, body []byte, seconds int64, more string) {
		if secret == "" || seconds < 0 || seconds > 99_999_999_999 {
			return
		}
		at, secrets := time.Unix(seconds, 0), []tiktok.Secret{tiktok.Secret(secret)}
		header := tiktok.Sign(tiktok.Secret(secret), body, at)
		if err := tiktok.VerifySignature(header, body, secrets, at, tiktok.Tolerance{}); err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		if name, _, _ := strings.Cut(more, "="); len(more) < 1000 && !strings.Contains(more, ",") && strings.TrimSpace(name) != "t" {
			if err := tiktok.VerifySignature(header+","+more, body, secrets, at, tiktok.Tolerance{}); err != nil {
				t.Fatalf("%q, %q: %v", header, more, err)
			}
		}
		altered := append(bytes.Clone(body), 'x')
		if err := tiktok.VerifySignature(header, altered, secrets, at, tolerance); !errors.Is(err, tiktok.ErrSignatureMismatch) {
			t.Fatalf("another body: %v", err)
		}
	})
}
