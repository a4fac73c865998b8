package tiktok

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries the signature of a webhook: t=<unix seconds>,s=<hex>.
const SignatureHeader = "Tiktok-Signature"

// Errors of VerifySignature, to be tested for with errors.Is. The last two are told of genuine requests only: somebody who does not know the
// secret learns nothing about clocks and tolerances.
var (
	// ErrSignatureMissing: there is no signature.
	ErrSignatureMissing = errors.New("the " + SignatureHeader + " header is missing")
	// ErrSignatureMalformed: the header has no usable t and s.
	ErrSignatureMalformed = errors.New("the " + SignatureHeader + " header is malformed")
	// ErrSignatureMismatch: none of the secrets made the signature.
	ErrSignatureMismatch = errors.New("the signature does not match the app secret")
	// ErrTooOld: the request was signed longer ago than is tolerated.
	ErrTooOld = errors.New("the signature is too old")
	// ErrInFuture: the request was signed further in the future than is tolerated.
	ErrInFuture = errors.New("the signature is from the future: a clock is wrong")
)

// Tolerance is how far the time of a signature may be from now; the bounds themselves are tolerated.
type Tolerance struct {
	// Past is for requests that come late: TikTok may retry with the first signature. Future is for clocks that differ.
	Past, Future time.Duration
}

// maxSignatureHeader bounds the header, in bytes, and with it the work that a stranger can ask for.
const maxSignatureHeader = 4096

// VerifySignature checks that one of the secrets signed the raw body, in constant time, and then that it did so within the tolerance. The
// header's parts are taken by name, in any order; of several s one that matches is enough. An empty secret verifies nothing.
func VerifySignature(header string, body []byte, secrets []Secret, now time.Time, tolerance Tolerance) error {
	if strings.TrimSpace(header) == "" {
		return ErrSignatureMissing
	}
	h, ok := parseSignature(header)
	if !ok {
		return ErrSignatureMalformed
	}
	matched := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := sign(secret, h.timestamp, body)
		for _, got := range h.signatures {
			if hmac.Equal(want, got) {
				matched = true
			}
		}
	}
	if !matched {
		return ErrSignatureMismatch
	}
	// Each difference is taken for itself: Sub stops at the longest Duration, and the negative of the shortest is itself.
	if age := now.Sub(h.at); age > tolerance.Past {
		return fmt.Errorf("%w: it was made %s ago, and %s is tolerated", ErrTooOld, age.Round(time.Second), tolerance.Past)
	}
	if ahead := h.at.Sub(now); ahead > tolerance.Future {
		return fmt.Errorf("%w: it is %s ahead, and %s is tolerated", ErrInFuture, ahead.Round(time.Second), tolerance.Future)
	}
	return nil
}

// Sign returns the header's value for a body, as TikTok makes it.
func Sign(secret Secret, body []byte, at time.Time) string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return "t=" + timestamp + ",s=" + hex.EncodeToString(sign(secret, timestamp, body))
}

// signatureHeader is the header, taken apart.
type signatureHeader struct {
	timestamp  string // as it was signed
	at         time.Time
	signatures [][]byte
}

func parseSignature(header string) (h signatureHeader, ok bool) {
	if len(header) > maxSignatureHeader {
		return h, false
	}
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "t":
			if h.timestamp != "" && h.timestamp != value {
				return h, false // which of them was signed is anybody's guess
			}
			h.timestamp = value
		case "s":
			if signature, err := hex.DecodeString(value); err == nil && len(signature) == sha256.Size {
				h.signatures = append(h.signatures, signature)
			}
		}
	}
	// Eleven digits last until the year 5138; more would not be seconds.
	if h.timestamp == "" || len(h.timestamp) > 11 || strings.Trim(h.timestamp, "0123456789") != "" || len(h.signatures) == 0 {
		return h, false
	}
	seconds, err := strconv.ParseInt(h.timestamp, 10, 64)
	h.at = time.Unix(seconds, 0)
	return h, err == nil
}

// sign makes the HMAC-SHA256 of <timestamp>.<body>.
func sign(secret Secret, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(secret.Reveal()))
	m.Write([]byte(timestamp + "."))
	m.Write(body)
	return m.Sum(nil)
}
