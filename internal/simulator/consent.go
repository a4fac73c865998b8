package simulator

import (
	"fmt"
	"regexp"
	"sync"
)

// Modes of Consent.
const (
	modeAuto = "auto"
	modePage = "page"
)

// Consent is what the simulated person does with the next authorizations.
type Consent struct {
	// Mode is "page" (a person decides on the consent page) or "auto" (the business grants at once). Default: as Options.AutoConsent says.
	Mode string `json:"mode,omitempty"`
	// Business that grants, or that the page proposes. Default: the first.
	Business string `json:"business,omitempty"`
	// DenyScopes are unticked.
	DenyScopes []string `json:"denyScopes,omitempty"`
	// Error refuses at once with this OAuth error, such as access_denied.
	Error string `json:"error,omitempty"`
	// Once: for the next authorization only; then what was set before holds again.
	Once bool `json:"once,omitempty"`
}

// errorName is the form of an OAuth error code, narrowed to those that need no escaping.
var errorName = regexp.MustCompile(`^[a-z_]{1,64}$`)

func (c Consent) validate() error {
	switch {
	case c.Mode != "" && c.Mode != modeAuto && c.Mode != modePage:
		return fmt.Errorf("mode %q is not known: it must be auto or page", c.Mode)
	case c.Error != "" && !errorName.MatchString(c.Error):
		return fmt.Errorf("error %q does not look like an OAuth error such as access_denied", c.Error)
	case c.Error != "" && c.Mode == modePage:
		return fmt.Errorf("error refuses at once and mode page asks a person: give one of them")
	}
	return validateScopes("denyScopes", c.DenyScopes)
}

// consents is what to do with the next authorizations.
type consents struct {
	auto bool // where Mode is empty

	mu       sync.Mutex
	standing Consent
	once     *Consent
}

// SetConsent says what the next authorizations meet. It panics on a Consent that the admin API refuses.
func (s *Simulator) SetConsent(c Consent) {
	if err := c.validate(); err != nil {
		panic("simulator: SetConsent: " + err.Error())
	}
	s.consents.set(c)
}

func (c *consents) set(next Consent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next.Once {
		c.once = &next
		return
	}
	c.standing, c.once = next, nil
}

// peek is what the next authorization meets.
func (c *consents) peek() Consent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next()
}

// take is what this authorization meets; it uses up what was for one only.
func (c *consents) take() Consent {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next()
	c.once = nil
	return next
}

func (c *consents) next() Consent {
	next := c.standing
	if c.once != nil {
		next = *c.once
	}
	if next.Mode == "" {
		next.Mode = modePage
		if c.auto {
			next.Mode = modeAuto
		}
	}
	return next
}
