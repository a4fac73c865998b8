package simulator

import (
	"slices"
	"sync"
	"time"
)

// Token is a pair of tokens as TikTok issues it.
type Token struct {
	AccessToken, RefreshToken, OpenID string
	// Scopes that the business granted.
	Scopes []string
	// ExpiresIn and RefreshTokenExpiresIn are the lives of the two, from now.
	ExpiresIn, RefreshTokenExpiresIn time.Duration
}

// authorization is what one business granted at one time. Its refresh token changes with every refresh; only the latest works.
type authorization struct {
	id       uint64
	business string
	scopes   []string

	mu     sync.Mutex
	serial uint64 // of the refresh token that works
	// ends is when its last token expires, and it can be forgotten.
	ends time.Time
}

// authorizations are those that live. Memory grows with authorizations, not with refreshes.
type authorizations struct {
	accessTTL, refreshTTL time.Duration
	sealer                *sealer

	mu         sync.RWMutex
	last       uint64
	byID       map[uint64]*authorization
	byBusiness map[string][]uint64
	sweepAt    int // expired ones are swept out when there are so many
}

const firstSweep = 1024

func newAuthorizations(accessTTL, refreshTTL time.Duration) *authorizations {
	return &authorizations{
		accessTTL: accessTTL, refreshTTL: refreshTTL, sealer: newSealer(),
		byID: map[uint64]*authorization{}, byBusiness: map[string][]uint64{}, sweepAt: firstSweep,
	}
}

// add is a business granting scopes.
func (a *authorizations) add(business string, scopes []string, now time.Time) Token {
	a.mu.Lock()
	a.sweep(now)
	a.last++
	auth := &authorization{id: a.last, business: business, scopes: slices.Clone(scopes)}
	auth.mu.Lock() // nobody refreshes, and no sweep looks, before it has its first pair
	defer auth.mu.Unlock()
	a.byID[auth.id] = auth
	a.byBusiness[business] = append(a.byBusiness[business], auth.id)
	a.mu.Unlock()
	return a.issue(auth, now)
}

// issue makes the next pair; the caller holds the authorization's lock.
func (a *authorizations) issue(auth *authorization, now time.Time) Token {
	auth.serial++
	auth.ends = now.Add(max(a.refreshTTL, a.accessTTL))
	return Token{
		AccessToken:  a.sealer.seal(accessKind, ticket{auth.id, auth.serial, now.Add(a.accessTTL)}),
		RefreshToken: a.sealer.seal(refreshKind, ticket{auth.id, auth.serial, now.Add(a.refreshTTL)}),
		OpenID:       auth.business, Scopes: slices.Clone(auth.scopes), ExpiresIn: a.accessTTL, RefreshTokenExpiresIn: a.refreshTTL,
	}
}

// rotate spends a refresh token: it works once, and gives the next pair. Access tokens issued before stay good until they expire.
func (a *authorizations) rotate(refreshToken string, now time.Time) (Token, bool) {
	auth, t, ok := a.lookup(refreshKind, refreshToken, now)
	if !ok {
		return Token{}, false
	}
	auth.mu.Lock()
	defer auth.mu.Unlock()
	if auth.serial != t.serial {
		return Token{}, false
	}
	return a.issue(auth, now), true
}

// access is the authorization behind an access token that works now.
func (a *authorizations) access(token string, now time.Time) (*authorization, bool) {
	auth, _, ok := a.lookup(accessKind, token, now)
	return auth, ok
}

func (a *authorizations) lookup(kind, token string, now time.Time) (*authorization, ticket, bool) {
	t, ok := a.sealer.open(kind, token)
	if !ok || !now.Before(t.expires) {
		return nil, t, false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	auth, ok := a.byID[t.authorization]
	return auth, t, ok
}

// revoke ends whatever the business granted.
func (a *authorizations) revoke(business string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range a.byBusiness[business] {
		delete(a.byID, id)
	}
	delete(a.byBusiness, business)
}

// sweep forgets expired authorizations once they may be half of all; the caller holds the lock.
func (a *authorizations) sweep(now time.Time) {
	if len(a.byID) < a.sweepAt {
		return
	}
	for business, ids := range a.byBusiness {
		ids = slices.DeleteFunc(ids, func(id uint64) bool {
			auth := a.byID[id]
			auth.mu.Lock()
			defer auth.mu.Unlock()
			if now.Before(auth.ends) {
				return false
			}
			delete(a.byID, id)
			return true
		})
		if a.byBusiness[business] = ids; len(ids) == 0 {
			delete(a.byBusiness, business)
		}
	}
	a.sweepAt = max(firstSweep, 2*len(a.byID))
}

func (a *authorizations) count() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.byID)
}

// IssueToken mints a pair without consent, as if the business had authorized the app elsewhere. No scopes means DefaultScopes; a business
// that is not there yet is added.
func (s *Simulator) IssueToken(openID string, scopes ...string) Token {
	if len(scopes) == 0 {
		scopes = DefaultScopes()
	}
	s.accounts.ensure(openID)
	return s.authorizations.add(openID, scopes, s.opts.Clock.Now())
}

// RevokeBusiness is the business disconnecting the app in TikTok: all its tokens stop working at once.
func (s *Simulator) RevokeBusiness(openID string) { s.authorizations.revoke(openID) }

// RefreshTokenWorks says whether a refresh token would be accepted now. It does not spend it.
func (s *Simulator) RefreshTokenWorks(token string) bool {
	auth, t, ok := s.authorizations.lookup(refreshKind, token, s.opts.Clock.Now())
	if !ok {
		return false
	}
	auth.mu.Lock()
	defer auth.mu.Unlock()
	return auth.serial == t.serial
}

// AccessTokenWorks says whether an access token would be accepted now.
func (s *Simulator) AccessTokenWorks(token string) bool {
	_, ok := s.authorizations.access(token, s.opts.Clock.Now())
	return ok
}
