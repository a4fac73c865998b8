package tracecontext

import "strings"

const (
	maxState   = 512
	maxMembers = 32
	maxKey     = 256
	maxTenant  = 241
	maxSystem  = 14
	maxValue   = 256
)

// parseState reads a list of members, and writes it without what stands for nothing: spaces around members, and empty ones. A list that breaks
// a rule, or is longer than everybody must pass on, is left out as a whole: half of it could mislead.
func parseState(s string) string {
	var members []string
	seen := map[string]bool{}
	for member := range strings.SplitSeq(s, ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue
		}
		key, value, ok := strings.Cut(member, "=")
		if !ok || !isKey(key) || !isValue(value) || seen[key] || len(members) == maxMembers {
			return ""
		}
		seen[key] = true
		members = append(members, member)
	}
	if s = strings.Join(members, ","); len(s) > maxState {
		return ""
	}
	return s
}

// isKey says whether a key is a vendor's name, or tenant@system.
func isKey(key string) bool {
	tenant, system, multi := strings.Cut(key, "@")
	if !multi {
		return len(key) <= maxKey && isName(key)
	}
	return len(tenant) <= maxTenant && isName(tenant) && len(system) <= maxSystem && isName(system)
}

// isName takes a digit at the beginning too, as the standard's second level does.
func isName(s string) bool {
	return s != "" && (isAlphanumeric(s[0])) && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x7f || !isAlphanumeric(byte(r)) && !strings.ContainsRune("_-*/", r)
	})
}

func isAlphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// isValue says whether a value is printable ASCII without comma and equals sign, and does not end with a space.
func isValue(s string) bool {
	return s != "" && len(s) <= maxValue && s[len(s)-1] != ' ' &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == ',' || r == '=' })
}
