// Package token holds what is known of a channel's tokens and decides what to do with them: the codec of the token Secret, the arithmetic
// of expiries, the refresh schedule, and the decision whether to refresh now, later or not without a person.
//
// Everything here is pure: no I/O and no clock of its own. Times are passed in and kept to whole seconds, because the Secret and the status
// hold whole seconds: comparing finer times with stored ones would never settle.
package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// DefaultLifetime is assumed for an access token whose lifetime is not known.
const DefaultLifetime = 24 * time.Hour

// Tokens are a channel's tokens and what TikTok said about them.
type Tokens struct {
	AccessToken  tiktok.Secret
	RefreshToken tiktok.Secret
	// AccessTokenExpiresAt is zero where it is not known (imported tokens): such tokens are refreshed at once.
	AccessTokenExpiresAt time.Time
	// RefreshTokenExpiresAt is zero where it is not known.
	RefreshTokenExpiresAt time.Time
	// BusinessID is TikTok's open_id of the business; "" where it is not known yet.
	BusinessID string
	// Scopes that were granted; empty where they are not known yet.
	Scopes []string
	// ObtainedAt is when TikTok issued the tokens; zero where it is not known.
	ObtainedAt time.Time
}

// FromTikTok dates an answer of TikTok. Lifetimes count from before the request was sent, so that an expiry is never later than TikTok's.
func FromTikTok(t *tiktok.Token, requestedAt time.Time) Tokens {
	requestedAt = requestedAt.UTC().Truncate(time.Second)
	return Tokens{
		AccessToken:           t.AccessToken,
		RefreshToken:          t.RefreshToken,
		AccessTokenExpiresAt:  requestedAt.Add(t.ExpiresIn).Truncate(time.Second),
		RefreshTokenExpiresAt: requestedAt.Add(t.RefreshTokenExpiresIn).Truncate(time.Second),
		BusinessID:            t.OpenID,
		Scopes:                slices.Clone(t.Scopes),
		ObtainedAt:            requestedAt,
	}
}

// Errors of Decode. Both mean that a person edited the Secret.
var (
	// ErrNoRefreshToken: the Secret holds no refresh_token.
	ErrNoRefreshToken = errors.New("the Secret holds no " + v1alpha1.RefreshTokenKey)
	// ErrInvalidTime: an expiry is not an RFC 3339 time.
	ErrInvalidTime = errors.New("not an RFC 3339 time")
)

// Decode reads tokens from a Secret. Only refresh_token is required. An expiry that cannot be read is reported as ErrInvalidTime together
// with tokens whose expiry is unknown, so that a slip in a date costs a refresh and not an authorization.
func Decode(s *corev1.Secret) (Tokens, error) {
	t := Tokens{
		AccessToken:  tiktok.Secret(strings.TrimSpace(string(s.Data[v1alpha1.AccessTokenKey]))),
		RefreshToken: tiktok.Secret(strings.TrimSpace(string(s.Data[v1alpha1.RefreshTokenKey]))),
		BusinessID:   strings.TrimSpace(string(s.Data[v1alpha1.BusinessIDKey])),
		Scopes:       splitScopes(string(s.Data[v1alpha1.ScopeKey])),
	}
	if t.RefreshToken == "" {
		return t, ErrNoRefreshToken
	}
	var errs []error
	for key, at := range map[string]*time.Time{
		v1alpha1.AccessTokenExpiresAtKey:  &t.AccessTokenExpiresAt,
		v1alpha1.RefreshTokenExpiresAtKey: &t.RefreshTokenExpiresAt,
	} {
		text := strings.TrimSpace(string(s.Data[key]))
		if text == "" {
			continue
		}
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, ErrInvalidTime))
			continue
		}
		*at = parsed.UTC().Truncate(time.Second)
	}
	// An unreadable annotation only means that the lifetime has to be assumed.
	if at, err := time.Parse(time.RFC3339, s.Annotations[v1alpha1.ObtainedAtAnnotation]); err == nil {
		t.ObtainedAt = at.UTC().Truncate(time.Second)
	}
	return t, errors.Join(errs...)
}

// Data is the content of the token Secret. Unknown expiries are left out.
func (t Tokens) Data() map[string][]byte {
	data := map[string][]byte{
		v1alpha1.AccessTokenKey:  []byte(t.AccessToken.Reveal()),
		v1alpha1.RefreshTokenKey: []byte(t.RefreshToken.Reveal()),
		v1alpha1.BusinessIDKey:   []byte(t.BusinessID),
		v1alpha1.ScopeKey:        []byte(strings.Join(t.Scopes, ",")),
	}
	for key, at := range map[string]time.Time{
		v1alpha1.AccessTokenExpiresAtKey:  t.AccessTokenExpiresAt,
		v1alpha1.RefreshTokenExpiresAtKey: t.RefreshTokenExpiresAt,
	} {
		if !at.IsZero() {
			data[key] = []byte(at.UTC().Format(time.RFC3339))
		}
	}
	return data
}

// Missing returns the required scopes that were not granted, sorted.
func Missing(granted, required []string) []string {
	var missing []string
	for _, scope := range required {
		if !slices.Contains(granted, scope) {
			missing = append(missing, scope)
		}
	}
	slices.Sort(missing)
	return missing
}

func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}
