package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// The log of calls is bounded in every direction: it must survive a load test.
const (
	maxCalls      = 50_000
	maxParameters = 20
	maxName       = 64
	maxValue      = 512
)

// Call is one call of the API.
type Call struct {
	// Time of arrival.
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	// Endpoint is the path after /open_api/v1.3/, or "(unknown)" for paths that the API does not have.
	Endpoint string `json:"endpoint"`
	// Status is the HTTP status, 0 if the client left before the call was processed; Code is TikTok's. Both are what the processing gave,
	// even where a fault then cut the answer off.
	Status int `json:"status"`
	Code   int `json:"code"`
	// RequestID was in the answer's envelope and in its header X-Tt-Logid.
	RequestID string `json:"requestID"`
	// Parameters of the call and its header Access-Token. Secrets, tokens and whatever the endpoint does not know appear as Fingerprint.
	Parameters map[string]string `json:"parameters,omitempty"`
}

// callLog keeps the latest calls, and counts all.
type callLog struct {
	mu     sync.Mutex
	ring   ring[Call]
	counts map[string]int
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.counts = ring[Call]{size: maxCalls}, map[string]int{}
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[c.Endpoint]++
	l.ring.add(c)
}

// Calls are the calls of an endpoint ("" for all), oldest first; the latest 50,000 of all are kept.
func (s *Simulator) Calls(endpoint string) []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return s.calls.ring.all(func(c Call) bool { return endpoint == "" || c.Endpoint == endpoint })
}

// CountCalls counts the calls of an endpoint ("" for all) since the start or the last ResetCalls. It is exact, whatever Calls still keeps.
func (s *Simulator) CountCalls(endpoint string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if endpoint != "" {
		return s.calls.counts[endpoint]
	}
	total := 0
	for _, n := range s.calls.counts {
		total += n
	}
	return total
}

// ResetCalls forgets the calls and sets the counts to zero.
func (s *Simulator) ResetCalls() { s.calls.reset() }

// show is what the log of calls may keep of the parameters. Only known, harmless ones are shown as they are: a secret under a misspelt name
// is a secret.
func show(given map[string]any, params []parameter, accessToken string) map[string]string {
	out := make(map[string]string, len(given)+1)
	for name, value := range given {
		if len(out) == maxParameters {
			break
		}
		text, ok := value.(string)
		if !ok {
			b, _ := json.Marshal(value) // it was decoded from JSON
			text = string(b)
		}
		i := slices.IndexFunc(params, func(p parameter) bool { return p.name == name })
		if i < 0 || params[i].secret {
			text = Fingerprint(text)
		}
		out[clip(name, maxName)] = clip(text, maxValue)
	}
	if accessToken != "" {
		out["Access-Token"] = Fingerprint(accessToken)
	}
	return out
}

// Fingerprint is how a secret appears in the log of calls: "sha256:" and the first 12 digits of its hash.
func Fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:6])
}

// clip copies at most n bytes of a string, so that a log does not keep a whole body alive.
func clip(text string, n int) string {
	if len(text) <= n {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
