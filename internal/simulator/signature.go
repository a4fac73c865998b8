package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// signatureHeader signs a webhook's body, or spoils the signature in the way that is asked for. Empty means no header.
func signatureHeader(how, secret string, now time.Time, body []byte) string {
	switch how {
	case "missing":
		return ""
	case "wrong":
		secret += " but wrong"
	case "old":
		now = now.Add(-retryFor - time.Hour)
	}
	t := strconv.FormatInt(now.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t))
	m.Write([]byte{'.'})
	m.Write(body)
	return "t=" + t + ",s=" + hex.EncodeToString(m.Sum(nil))
}
