package access

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"strings"
)

// maxToken bounds a token in bytes. A service account's has about a thousand.
const maxToken = 8 << 10

var token68 = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// tokenDigest stands for a token in the caches.
type tokenDigest [sha256.Size]byte

func digestOf(token string) tokenDigest { return sha256.Sum256([]byte(token)) }

// bearer reads the token of a request (RFC 6750). present says that there was an attempt at all.
func bearer(header http.Header) (token string, present, ok bool) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", false, false
	}
	if len(values) > 1 {
		return "", true, false // which one would count is a matter of taste, and of attacks
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || !token68.MatchString(token) {
		return "", true, false
	}
	return token, true, true
}
