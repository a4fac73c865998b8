package simulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// Kinds of tokens, as their text begins.
const (
	accessKind  = "act."
	refreshKind = "rft."
)

const (
	sealSize    = 16
	payloadSize = 24
)

// ticket is what a token says. It is inside the token, sealed, so that a token costs no memory: refreshing ten thousand businesses all
// day long, while every old access token works until it expires, must not make the simulator grow.
type ticket struct {
	authorization, serial uint64
	expires               time.Time
}

// sealer turns tickets into tokens that nobody can make or change.
type sealer struct{ key [32]byte }

func newSealer() *sealer {
	var s sealer
	_, _ = rand.Read(s.key[:]) // never fails
	return &s
}

func (s *sealer) seal(kind string, t ticket) string {
	payload := make([]byte, 0, payloadSize)
	payload = binary.BigEndian.AppendUint64(payload, t.authorization)
	payload = binary.BigEndian.AppendUint64(payload, t.serial)
	payload = binary.BigEndian.AppendUint64(payload, uint64(t.expires.UnixNano()))
	return kind + base64.RawURLEncoding.EncodeToString(append(s.mac(kind, payload), payload...))
}

// open reads a token of the kind; false if this sealer did not make it.
func (s *sealer) open(kind, token string) (ticket, bool) {
	text, ok := strings.CutPrefix(token, kind)
	if !ok {
		return ticket{}, false
	}
	// Strict: in the last character the lenient decoder ignores bits, and an altered token would pass.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != sealSize+payloadSize || strings.ContainsAny(text, "\r\n") {
		return ticket{}, false
	}
	seal, payload := raw[:sealSize], raw[sealSize:]
	if !hmac.Equal(seal, s.mac(kind, payload)) {
		return ticket{}, false
	}
	return ticket{
		authorization: binary.BigEndian.Uint64(payload),
		serial:        binary.BigEndian.Uint64(payload[8:]),
		expires:       time.Unix(0, int64(binary.BigEndian.Uint64(payload[16:]))),
	}, true
}

func (s *sealer) mac(kind string, payload []byte) []byte {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(kind))
	m.Write(payload)
	return m.Sum(nil)[:sealSize]
}
