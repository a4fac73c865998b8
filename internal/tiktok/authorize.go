package tiktok

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// AuthorizeRequest asks a person for consent.
type AuthorizeRequest struct {
	// RedirectURI is where the answer goes; it must be registered with the app to the letter. Required.
	RedirectURI string
	// State comes back with the answer. Required.
	State string
	// Scopes that are asked for. Required, unless the configured endpoint names them.
	Scopes []string
	// ForceConsent shows the consent page also to somebody who consented before.
	ForceConsent bool
}

// AuthorizeURL returns the address of TikTok's consent page. Parameters of the configured endpoint are kept, and what is missing is added.
// The error says what the request lacks.
func (c *Client) AuthorizeURL(r AuthorizeRequest) (string, error) {
	if err := r.validate(); err != nil {
		return "", err
	}
	u := *c.authorize
	q := u.Query()
	for name, value := range map[string]string{
		"client_key":    c.config.AppID,
		"response_type": "code",
		"redirect_uri":  r.RedirectURI,
		"scope":         strings.Join(r.Scopes, ","),
	} {
		if q.Get(name) == "" {
			q.Set(name, value)
		}
	}
	if q.Get("scope") == "" {
		return "", errors.New("an authorization needs at least one scope")
	}
	q.Set("state", r.State)
	if r.ForceConsent {
		q.Set("disable_auto_auth", "1")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (r AuthorizeRequest) validate() error {
	if r.State == "" {
		return errors.New("an authorization needs a state")
	}
	u, err := url.Parse(r.RedirectURI)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || strings.Contains(r.RedirectURI, "#") {
		return errors.New("an authorization needs a redirect URI: an absolute http or https URL without a fragment")
	}
	for _, scope := range r.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r == ',' || unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
			return fmt.Errorf("%q is not a scope", scope)
		}
	}
	return nil
}
