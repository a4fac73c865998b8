package simulator

import (
	"crypto/subtle"
	"slices"
	"sync"
)

// appState is what TikTok's developer portal keeps of the app.
type appState struct {
	mu       sync.RWMutex
	secret   string
	enabled  bool
	approved []string // empty: every scope
}

// SetAppSecret rotates the app secret: from now on only the new one is accepted, and signs webhooks.
func (s *Simulator) SetAppSecret(secret string) {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	s.app.secret = secret
}

// SetAppEnabled turns the app off or on. While it is off, every API call is refused with 40101 and the consent page says so; tokens live on,
// and events are delivered.
func (s *Simulator) SetAppEnabled(enabled bool) {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	s.app.enabled = enabled
}

// SetApprovedScopes says for which scopes the app is approved; none means all. An authorization that asks for another is refused whole.
func (s *Simulator) SetApprovedScopes(scopes ...string) {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	s.app.approved = slices.Clone(scopes)
}

func (a *appState) signingSecret() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.secret
}

func (a *appState) isEnabled() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.enabled
}

func (a *appState) accepts(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(a.signingSecret()), []byte(secret)) == 1
}

// unapproved are those of the scopes for which the app is not approved.
func (a *appState) unapproved(scopes []string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.approved) == 0 {
		return nil
	}
	return without(scopes, a.approved)
}

// without is list less the items of drop, in list's order.
func without(list, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(item string) bool { return slices.Contains(drop, item) })
}
