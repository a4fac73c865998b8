package sink

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	keyPrefix  = "whsec_"
	minKeySize = 24
)

// SigningKey signs deliveries as Standard Webhooks does (symmetric, v1).
type SigningKey struct{ key tiktok.Secret }

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
	return &SigningKey{key: tiktok.Secret(value)}, nil
}

// Sign makes the value of the header webhook-signature for a message sent at a time. The id must hold no full stop.
func (k *SigningKey) Sign(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(k.key.Reveal()))
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
