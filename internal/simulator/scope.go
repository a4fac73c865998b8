package simulator

import (
	"fmt"
	"regexp"
	"slices"
)

// scopeName is the form of TikTok's scopes. The names themselves are not checked: TikTok adds some, and which ones the app may ask for is
// what SetApprovedScopes says.
var scopeName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// Scopes that endpoints ask for.
const (
	scopeBasic        = "user.info.basic"
	scopeReadMessages = "message.list.read"
	scopeSendMessages = "message.list.send"
)

// DefaultScopes are granted by IssueToken where none are named.
func DefaultScopes() []string {
	return []string{
		scopeBasic, "user.info.username", "user.info.stats", "user.info.profile", "user.account.type", "user.insights",
		scopeReadMessages, scopeSendMessages, "message.list.manage",
	}
}

func validateScopes(field string, scopes []string) error {
	for i, scope := range scopes {
		if !scopeName.MatchString(scope) {
			return fmt.Errorf("%s: %q does not look like a scope such as %s", field, scope, scopeBasic)
		}
		if slices.Contains(scopes[:i], scope) {
			return fmt.Errorf("%s: %s is named twice", field, scope)
		}
	}
	return nil
}
