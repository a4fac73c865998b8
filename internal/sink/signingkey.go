package sink

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	keyPrefix  = "whsec_"
	minKeySize = 24
)

// SigningKey signs deliveries as Standard Webhooks does (symmetric, v1), while a secret is being changed with more than one.
type SigningKey struct{ keys []tiktok.Secret }

// ParseSigningKey reads whsec_ with base64, or any other text of at least 24 bytes as it is. Space around it does not count. The error does
// not repeat it.
func ParseSigningKey(value []byte) (*SigningKey, error) {
	value = bytes.TrimSpace(value)
	if encoded, ok := bytes.CutPrefix(value, []byte(keyPrefix)); ok {
		decoded, err := base64.StdEncoding.DecodeString(string(encoded))
		if err != nil {
			if decoded, err = base64.RawStdEncoding.DecodeString(string(encoded)); err != nil {
				return nil, errors.New("begins with whsec_, but the rest is not base64")
			}
		}
		value = decoded
	}
	if len(value) < minKeySize {
		return nil, fmt.Errorf("is too short to sign with: %d bytes are needed", minKeySize)
	}
	return &SigningKey{keys: []tiktok.Secret{tiktok.Secret(value)}}, nil
}

// And is a key that signs with both, k first; once, if they are the same.
func (k *SigningKey) And(other *SigningKey) *SigningKey {
	both := &SigningKey{keys: slices.Clone(k.keys)}
	for _, key := range other.keys {
		if !slices.Contains(both.keys, key) {
			both.keys = append(both.keys, key)
		}
	}
	return both
}

// Sign makes the value of the header webhook-signature for a message sent at a time: a signature for each key, separated by spaces. The id must
// hold no full stop.
func (k *SigningKey) Sign(id string, at time.Time, body []byte) string {
	signatures := make([]string, 0, len(k.keys))
	for _, key := range k.keys {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
