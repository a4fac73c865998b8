package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
)

// Cookies that bind a state to a browser. The value is random and means nothing else.
const (
	// CookieName is used with https. Its prefix makes browsers refuse it from any other host, or without TLS.
	CookieName = "__Host-tiktok-oauth"
	// LoopbackCookieName is used where the app's publicURL is http, which only loopback hosts may be: browsers refuse the other one there.
	LoopbackCookieName = "tiktok-oauth"
)

var cookieValue = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// bindBrowser returns the cookie that the browser is to have. One that it has already is kept, so that two authorizations can go on in two
// tabs, and so that a link preview, or a second click, changes nothing.
func bindBrowser(r *http.Request, publicURL string) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure but on loopback over http, where browsers would not send it back
		Name: CookieName, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int((tickets.StateLifetime + tickets.Leeway).Seconds()),
	}
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "http" {
		c.Name, c.Secure = LoopbackCookieName, false
	}
	for _, have := range r.CookiesNamed(c.Name) {
		if cookieValue.MatchString(have.Value) {
			c.Value = have.Value
			return c
		}
	}
	c.Value = rand.Text()
	return c
}

// browserDigest is what a state knows of the cookie. The name is part of it: a state that was bound to the strict cookie cannot be satisfied
// by the lax one, which others could plant.
func browserDigest(name, value string) string {
	sum := sha256.Sum256([]byte(name + "=" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameBrowser says whether the request has the cookie that a state was bound to.
func sameBrowser(r *http.Request, digest string) bool {
	same := 0
	for _, name := range []string{CookieName, LoopbackCookieName} {
		for _, c := range r.CookiesNamed(name) {
			same |= subtle.ConstantTimeCompare([]byte(browserDigest(name, c.Value)), []byte(digest))
		}
	}
	return same == 1
}
