package token

import (
	"hash/fnv"
	"time"
)

// Bounds of the schedule.
const (
	// MinRefreshBefore is the floor of the default margin before expiry.
	MinRefreshBefore = 5 * time.Minute
	// RefreshTokenWarning is how much life of a refresh token is too little: every refresh brings a new one for a year.
	RefreshTokenWarning = 14 * 24 * time.Hour

	minBackoff = 5 * time.Second
	maxBackoff = 10 * time.Minute
)

// Margin is how long before its expiry an access token of the given lifetime is refreshed. wanted is spec.refreshBefore; zero means one
// third of the lifetime, at least MinRefreshBefore. Whatever is wanted, the first third of the lifetime is never cut: a margin longer than
// the token lives would refresh for ever.
func Margin(lifetime, wanted time.Duration) time.Duration {
	margin := wanted
	if margin <= 0 {
		margin = max(lifetime/3, MinRefreshBefore)
	}
	return min(margin, lifetime*2/3).Truncate(time.Second)
}

// Lifetime is how long the access token lives in all.
func (t Tokens) Lifetime() time.Duration {
	if t.ObtainedAt.IsZero() || !t.AccessTokenExpiresAt.After(t.ObtainedAt) {
		return DefaultLifetime
	}
	return t.AccessTokenExpiresAt.Sub(t.ObtainedAt)
}

// RefreshAt is when the access token should be refreshed: its expiry less the margin, moved earlier by up to a tenth of the margin. How far
// depends on the channel's UID alone, so that channels created together are spread while each keeps its time. The zero time means at once.
func RefreshAt(t Tokens, wanted time.Duration, uid string) time.Time {
	if t.AccessToken == "" || t.AccessTokenExpiresAt.IsZero() {
		return time.Time{}
	}
	margin := Margin(t.Lifetime(), wanted)
	return t.AccessTokenExpiresAt.Add(-margin - spread(margin/10, uid)).Truncate(time.Second)
}

func spread(window time.Duration, uid string) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(uid))
	// FNV's high bits are poor for short, similar inputs; one more mixing step spreads them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return time.Duration(float64(window) * (float64(x>>11) / (1 << 53)))
}

// Backoff is the wait after the nth failure in a row (n ≥ 1): it doubles from 5 seconds, to 10 minutes at most. random in [0,1) adds up to
// a quarter, so that channels that failed together do not come back together.
func Backoff(n int32, random float64) time.Duration {
	const longest = maxBackoff * 4 / 5 // which a quarter more makes maxBackoff
	d := longest
	if exp := max(n-1, 0); exp < 8 {
		d = min(longest, minBackoff<<exp)
	}
	return (d + time.Duration(float64(d)/4*random)).Truncate(time.Second)
}

// Alive says whether the access token can be used. An unknown expiry counts as dead: such a token is refreshed before it is used.
func (t *Tokens) Alive(now time.Time) bool {
	return t != nil && t.AccessToken != "" && now.Before(t.AccessTokenExpiresAt)
}
