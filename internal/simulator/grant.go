package simulator

import (
	"crypto/rand"
	"sync"
	"time"
)

const codeLifetime = 10 * time.Minute

// grant is what an authorization code stands for.
type grant struct {
	business, redirectURI string
	scopes                []string
	expires               time.Time
}

// codes are the authorization codes that were handed out and neither used nor expired.
type codes struct {
	mu     sync.Mutex
	grants map[string]grant
	// order is by expiry, since all live equally long.
	order []string
}

// add makes a code. Like TikTok's it holds characters that must be escaped in a URL: who does not decode it is refused.
func (c *codes) add(g grant) string {
	code := rand.Text() + "*1!" + rand.Text()[:8]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.grants == nil {
		c.grants = map[string]grant{}
	}
	for len(c.order) > 0 {
		oldest, waiting := c.grants[c.order[0]]
		if waiting && g.expires.Add(-codeLifetime).Before(oldest.expires) {
			break
		}
		delete(c.grants, c.order[0])
		c.order = c.order[1:]
	}
	c.grants[code] = g
	c.order = append(c.order, code)
	return code
}

// take uses a code up, whatever comes of it.
func (c *codes) take(code string, now time.Time) (grant, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.grants[code]
	delete(c.grants, code)
	return g, ok && now.Before(g.expires)
}
