package simulator_test

import (
	"strings"
	"testing"
)

// What is nearly a token is none.
func TestForgedTokens(t *testing.T) {
	b := newBench(t)
	token := b.sim.IssueToken(business)
	access, refresh := token.AccessToken, token.RefreshToken
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// The next letter differs in bits that a lenient decoder ignores at the end.
	last := alphabet[(strings.IndexByte(alphabet, refresh[len(refresh)-1])+1)%len(alphabet)]
	for name, forged := range map[string]string{
		"access token as refresh token":  "rft." + strings.TrimPrefix(access, "act."),
		"refresh token as access token":  "act." + strings.TrimPrefix(refresh, "rft."),
		"last letter of refresh changed": refresh[:len(refresh)-1] + string(last),
		"line break inside":              refresh[:20] + "\n" + refresh[20:],
		"padded":                         refresh + "=",
		"cut":                            refresh[:len(refresh)-4],
		"other kind of letters":          strings.ToUpper(refresh),
		"nothing":                        "",
	} {
		if b.sim.RefreshTokenWorks(forged) || b.sim.AccessTokenWorks(forged) {
			t.Errorf("%s: works", name)
		}
	}
	if !b.sim.RefreshTokenWorks(refresh) || !b.sim.AccessTokenWorks(access) {
		t.Error("the real ones do not work")
	}
}
