package tickets_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

var (
	currentBytes  = bytes.Repeat([]byte("c"), 32)
	previousBytes = bytes.Repeat([]byte("p"), 32)
	link          = tickets.Link{Namespace: "shop", Name: "acme", UID: "uid-1", Epoch: 3}
	state         = tickets.State{Link: link, ID: "one", Browser: "digest"}
	receipt       = tickets.Receipt{Namespace: "shop", Name: "acme", Account: "@acme", Suspended: true}
)

func key(t testing.TB, b []byte) tickets.Key {
	t.Helper()
	k, err := tickets.NewKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keys(t testing.TB) tickets.Keys {
	return tickets.Keys{Current: key(t, currentBytes)}
}

func sign[T any](t testing.TB, f func(T, time.Time) (string, error), v T) string {
	t.Helper()
	token, err := f(v, now)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTicketsRoundTrip(t *testing.T) {
	k := keys(t)
	gotLink, err := k.VerifyLink(sign(t, k.SignLink, link), now)
	if err != nil || gotLink != link {
		t.Errorf("link %+v, %v", gotLink, err)
	}
	wantState := state
	wantState.AcceptedUntil = now.Add(tickets.StateLifetime + tickets.Leeway)
	gotState, err := k.VerifyState(sign(t, k.SignState, state), now)
	if err != nil || !gotState.AcceptedUntil.Equal(wantState.AcceptedUntil) {
		t.Errorf("state %+v, %v", gotState, err)
	}
	gotState.AcceptedUntil = wantState.AcceptedUntil
	if gotState != wantState {
		t.Errorf("state %+v", gotState)
	}
	gotReceipt, err := k.VerifyReceipt(sign(t, k.SignReceipt, receipt), now)
	if err != nil || gotReceipt != receipt {
		t.Errorf("receipt %+v, %v", gotReceipt, err)
	}
}

func TestTicketsEnd(t *testing.T) {
	k := keys(t)
	type verify func(string, time.Time) error
	for name, tc := range map[string]struct {
		token  string
		verify verify
		life   time.Duration
	}{
		"link": {sign(t, k.SignLink, link), func(s string, at time.Time) error {
			_, err := k.VerifyLink(s, at)
			return err
		}, tickets.LinkLifetime},
		"state": {sign(t, k.SignState, state), func(s string, at time.Time) error {
			_, err := k.VerifyState(s, at)
			return err
		}, tickets.StateLifetime},
		"receipt": {sign(t, k.SignReceipt, receipt), func(s string, at time.Time) error {
			_, err := k.VerifyReceipt(s, at)
			return err
		}, tickets.ReceiptLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			for at, want := range map[time.Duration]error{
				-tickets.Leeway - time.Second:           tickets.ErrInvalid, // not yet valid
				-tickets.Leeway:                         nil,
				0:                                       nil,
				tc.life:                                 nil,
				tc.life + tickets.Leeway - time.Second:  nil,
				tc.life + tickets.Leeway:                tickets.ErrExpired,
				tc.life + tickets.Leeway + 24*time.Hour: tickets.ErrExpired,
			} {
				if err := tc.verify(tc.token, now.Add(at)); !errors.Is(err, want) {
					t.Errorf("at %s: %v, want %v", at, err, want)
				}
			}
		})
	}
}

// TestTicketsAreNotInterchangeable also checks that an expired ticket of another kind is invalid, not expired: it was never good there.
func TestTicketsAreNotInterchangeable(t *testing.T) {
	k := keys(t)
	made := map[string]string{
		"link": sign(t, k.SignLink, link), "state": sign(t, k.SignState, state), "receipt": sign(t, k.SignReceipt, receipt),
	}
	for kind, token := range made {
		for _, at := range []time.Time{now, now.Add(48 * time.Hour)} {
			for as, verify := range verifiers(k) {
				if err := verify(token, at); as != kind && !errors.Is(err, tickets.ErrInvalid) {
					t.Errorf("a %s used as %s at %s: %v", kind, as, at, err)
				}
			}
		}
	}
}

func verifiers(k tickets.Keys) map[string]func(string, time.Time) error {
	return map[string]func(string, time.Time) error{
		"link":    func(s string, at time.Time) error { _, err := k.VerifyLink(s, at); return err },
		"state":   func(s string, at time.Time) error { _, err := k.VerifyState(s, at); return err },
		"receipt": func(s string, at time.Time) error { _, err := k.VerifyReceipt(s, at); return err },
	}
}

func TestForgedTickets(t *testing.T) {
	k := keys(t)
	good := sign(t, k.SignState, state)
	part := strings.Split(good, ".")
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(good, claims); err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(method jwt.SigningMethod, signer any, change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{}
		for key, value := range claims {
			c[key] = value
		}
		if change != nil {
			change(c)
		}
		s, err := jwt.NewWithClaims(method, c).SignedString(signer)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	without := func(claim string) string {
		return with(jwt.SigningMethodHS256, currentBytes, func(c jwt.MapClaims) { delete(c, claim) })
	}
	if _, err := k.VerifyState(with(jwt.SigningMethodHS256, currentBytes, nil), now); err != nil {
		t.Fatalf("the test's own way of signing is wrong: %v", err)
	}
	for name, token := range map[string]string{
		"empty":              "",
		"not a JWT":          "link",
		"none":               with(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"none, any case":     raw(`{"alg":"nOnE"}`, part[1], ""),
		"no algorithm":       raw(`{"typ":"JWT"}`, part[1], part[2]),
		"HS384":              with(jwt.SigningMethodHS384, currentBytes, nil),
		"HS512":              with(jwt.SigningMethodHS512, currentBytes, nil),
		"RS256":              with(jwt.SigningMethodRS256, rsaKey, nil),
		"RS256 named, HS256": resigned(`{"alg":"RS256","typ":"JWT"}`, part[1]),
		"wrong key":          with(jwt.SigningMethodHS256, bytes.Repeat([]byte("x"), 32), nil),
		"empty key":          with(jwt.SigningMethodHS256, []byte{}, nil),
		"no signature":       part[0] + "." + part[1] + ".",
		"two parts":          part[0] + "." + part[1],
		"padded signature":   good + "=",
		"changed claims":     part[0] + "." + strings.Replace(part[1], part[1][8:12], "AAAA", 1) + "." + part[2],
		"too long":           good + strings.Repeat("A", 8192),
		"no expiry":          without("exp"),
		"no audience":        without("aud"),
		"no issuer":          without("iss"),
		"no channel UID":     without("sub"),
		"no namespace":       without("ns"),
		"no name":            without("name"),
		"no id":              without("jti"),
		"no browser":         without("browser"),
		"expiry in words":    with(jwt.SigningMethodHS256, currentBytes, func(c jwt.MapClaims) { c["exp"] = "tomorrow" }),
		"another issuer":     with(jwt.SigningMethodHS256, currentBytes, func(c jwt.MapClaims) { c["iss"] = "somebody" }),
		"not yet valid": with(jwt.SigningMethodHS256, currentBytes, func(c jwt.MapClaims) {
			c["nbf"] = now.Add(time.Hour).Unix()
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := k.VerifyState(token, now); !errors.Is(err, tickets.ErrInvalid) || got != (tickets.State{}) {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
}

func raw(header, payload, signature string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload + "." + signature
}

// resigned signs with the HMAC of the current key whatever the header claims.
func resigned(header, payload string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload
	mac := hmac.New(sha256.New, currentBytes)
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestKeysRotate(t *testing.T) {
	old := tickets.Keys{Current: key(t, previousBytes)}
	rotated := tickets.Keys{Current: key(t, currentBytes), Previous: key(t, previousBytes)}
	token := sign(t, old.SignLink, link)
	if _, err := rotated.VerifyLink(token, now); err != nil {
		t.Errorf("signed before the rotation: %v", err)
	}
	if _, err := rotated.VerifyLink(token, now.Add(48*time.Hour)); !errors.Is(err, tickets.ErrExpired) {
		t.Errorf("signed before the rotation, expired: %v", err)
	}
	if _, err := old.VerifyLink(sign(t, rotated.SignLink, link), now); !errors.Is(err, tickets.ErrInvalid) {
		t.Errorf("signed with a key not known yet: %v", err)
	}
	if _, err := keys(t).VerifyLink(token, now); !errors.Is(err, tickets.ErrInvalid) {
		t.Errorf("signed two rotations ago: %v", err)
	}
}

func TestWithoutKeys(t *testing.T) {
	var none tickets.Keys
	if _, err := none.SignLink(link, now); !errors.Is(err, tickets.ErrNoKeys) {
		t.Errorf("signed without a key: %v", err)
	}
	if _, err := none.VerifyLink(resigned(`{"alg":"HS256"}`, "e30"), now); !errors.Is(err, tickets.ErrInvalid) {
		t.Errorf("verified without a key: %v", err)
	}
	if _, err := tickets.NewKey(make([]byte, 31)); err == nil {
		t.Error("a short key was taken")
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	k := keys(t)
	var out strings.Builder
	fmt.Fprintf(&out, "%v %+v %#v %s %x %q %d", k, k, k, k.Current, k.Current, k.Current, k.Current)
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	funcr.New(func(prefix, args string) { out.WriteString(prefix + args) }, funcr.Options{}).Info("keys", "keys", k, "key", k.Current)
	for _, leak := range []string{
		string(currentBytes[:8]), fmt.Sprintf("%x", currentBytes[:8]), "99 99 99", base64.StdEncoding.EncodeToString(currentBytes)[:12],
	} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the key shows in %s", out.String())
		}
	}
	if !strings.Contains(out.String(), k.Current.ID()) {
		t.Error("the key's id does not show")
	}
}

// FuzzVerify asserts that whatever is accepted was signed here, and is accepted as one kind only.
func FuzzVerifyLink(f *testing.F) { fuzz(f, "link") }

func FuzzVerifyState(f *testing.F) { fuzz(f, "state") }

func fuzz(f *testing.F, kind string) {
	k := tickets.Keys{Current: key(f, currentBytes), Previous: key(f, previousBytes)}
	signed := map[string]string{"link": sign(f, k.SignLink, link), "state": sign(f, k.SignState, state), "receipt": sign(f, k.SignReceipt, receipt)}
	for _, token := range signed {
		f.Add(token)
		part := strings.Split(token, ".")
		f.Add(raw(`{"alg":"none"}`, part[1], ""))
		f.Add(raw(`{"alg":"HS256","kid":"x","crit":["x"]}`, part[1], part[2]))
		f.Add(part[0] + "." + part[1] + ".")
		f.Add(token[:len(token)-1])
	}
	f.Add("..")
	f.Add(strings.Repeat("e30.", 3))
	f.Fuzz(func(t *testing.T, token string) {
		accepted := 0
		for as, verify := range verifiers(k) {
			err := verify(token, now)
			switch {
			case err == nil:
				accepted++
				if as == kind && token != signed[kind] {
					t.Errorf("accepted what was not signed here: %q", token)
				}
			case !errors.Is(err, tickets.ErrInvalid) && !errors.Is(err, tickets.ErrExpired):
				t.Errorf("untyped error %v", err)
			}
		}
		if accepted > 1 {
			t.Errorf("one ticket is %d kinds", accepted)
		}
	})
}
