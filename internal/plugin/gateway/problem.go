package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ProblemError is a refusal of the API.
type ProblemError struct {
	// Status of the answer.
	Status int
	text   string
}

// Error implements error.
func (p *ProblemError) Error() string { return p.text }

// Passing says that the same call may be answered otherwise a little later.
func (p *ProblemError) Passing() bool {
	return p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout
}

// problem is what an answer says in the form of RFC 9457.
func problem(resp *http.Response, text []byte) error {
	var p struct {
		Title, Detail   string
		PossibleReasons []string
	}
	if json.Unmarshal(text, &p) != nil || p.Title == "" {
		return &ProblemError{Status: resp.StatusCode, text: "the private API answers " + resp.Status}
	}
	message := strings.TrimSuffix(p.Title, ".")
	if p.Detail != "" {
		message += ": " + p.Detail
	}
	for _, reason := range p.PossibleReasons {
		message += "\n  perhaps: " + reason
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		message += "\n  the token of a kubeconfig is seldom made for the API; --as-service-account NAME requests one that is"
	case http.StatusForbidden:
		message += grantedBy(p.Detail)
	}
	return &ProblemError{Status: resp.StatusCode, text: message}
}

// grants are the permissions on the private API that the operator's ClusterRoles have; the first that grants one is named.
var grants = []struct {
	role, subresource string
	verbs             []string
}{
	{"channel-messenger", "messages", []string{"create"}},
	{"channel-reader", "messages", []string{"get", "list"}},
	{"channel-reader", "events", []string{"watch"}},
	{"channel-viewer", "sinks", []string{"list"}},
	{"channel-replayer", "events", []string{"create", "get", "list"}},
	{"channel-authorizer", "authorization", []string{"create"}},
}

// missing is how package access says what a caller may not.
var missing = regexp.MustCompile(`may not (\w+) tiktokchannels/(\w+) in `)

// grantedBy names the ClusterRole that grants what a refusal says is missing.
func grantedBy(detail string) string {
	m := missing.FindStringSubmatch(detail)
	if m == nil {
		return ""
	}
	for _, g := range grants {
		if g.subresource == m[2] && slices.Contains(g.verbs, m[1]) {
			return fmt.Sprintf("\n  the operator's ClusterRole …-%s grants it, bound in the channel's namespace", g.role)
		}
	}
	return ""
}
