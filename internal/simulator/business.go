package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Business is a TikTok business account.
type Business struct {
	// OpenID names it everywhere; it may begin with '-'.
	OpenID string `json:"openID"`
	// Username is the handle, without '@'. Default: OpenID.
	Username string `json:"username"`
	// DisplayName is for people. Default: Username.
	DisplayName string `json:"displayName"`
	// ProfileImageURL may be empty.
	ProfileImageURL string `json:"profileImageURL,omitempty"`
	// Posts are the ids of its own posts, which it may send. Default: whatever is a number passes for one of them.
	Posts []string `json:"posts,omitempty"`
	// GrantScopes are the only scopes that it ever grants, whatever is asked for or ticked. Default: all.
	GrantScopes []string `json:"grantScopes,omitempty"`
}

// DefaultBusiness exists from the start.
var DefaultBusiness = Business{
	OpenID: "biz-0001", Username: "acme", DisplayName: "Acme Store", ProfileImageURL: "https://images.example/acme.jpg?x-expires=1",
}

// String names a business for a person.
func (b Business) String() string { return fmt.Sprintf("%s (@%s)", b.DisplayName, b.Username) }

// granted are those of the scopes that the business grants.
func (b Business) granted(scopes []string) []string {
	if len(b.GrantScopes) == 0 {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !slices.Contains(b.GrantScopes, scope) })
}

func (b Business) validate() error {
	if b.OpenID == "" {
		return errors.New("openID is required: it names the business in every call")
	}
	if len(b.OpenID) > 256 {
		return errors.New("openID must not be longer than 256 characters")
	}
	return validateScopes("grantScopes", b.GrantScopes)
}

// accounts are the business accounts, in the order in which they were added.
type accounts struct {
	mu    sync.RWMutex
	byID  map[string]Business
	order []string
}

// AddBusiness adds a business account, or replaces the one of its OpenID.
func (s *Simulator) AddBusiness(b Business) { s.accounts.put(b) }

func (a *accounts) put(b Business) {
	b.Username = cmp.Or(b.Username, b.OpenID)
	b.DisplayName = cmp.Or(b.DisplayName, b.Username)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID == nil {
		a.byID = map[string]Business{}
	}
	if _, known := a.byID[b.OpenID]; !known {
		a.order = append(a.order, b.OpenID)
	}
	a.byID[b.OpenID] = b
}

// ensure adds the business if it is not there yet.
func (a *accounts) ensure(openID string) {
	if _, known := a.get(openID); !known {
		a.put(Business{OpenID: openID})
	}
}

func (a *accounts) get(openID string) (Business, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	b, known := a.byID[openID]
	return b, known
}

// find is the named business, or the first one if no name is given.
func (a *accounts) find(openID string) (Business, bool) {
	if openID == "" {
		return a.first(1)[0], true
	}
	return a.get(openID)
}

// first are the n oldest businesses, or all if there are fewer.
func (a *accounts) first(n int) []Business {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]Business, 0, min(n, len(a.order)))
	for _, id := range a.order[:min(n, len(a.order))] {
		out = append(out, a.byID[id])
	}
	return out
}

func (a *accounts) count() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.order)
}
